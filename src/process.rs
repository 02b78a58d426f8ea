//! What the process owes the secrets in its memory.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the memory of the process to itself: it leaves no core dump, and no other process of the
/// same user can read its memory or, while it runs, its environment.
///
/// # Errors
/// Where the system refuses, which it has no reason to.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A pipe that takes core dumps would not ask for that limit.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Lets the process have as many files and connections open as the system allows it at most, which
/// is often far more than the limit that it begins with. Gives that number; none where there is no
/// limit.
///
/// # Errors
/// Where the system refuses, which it has no reason to.
pub fn allow_open_files() -> io::Result<Option<u64>> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::*;

    #[test]
    fn there_is_nothing_to_be_dumped() {
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::Dumpable);
        keep_memory_private().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
        assert_eq!(allow_open_files().unwrap(), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
