use std::cell::Cell;

use super::*;

const GOOD: &str = "permit(principal, action, resource);";

fn watched(folder: &Path) -> Watched {
    let place = (Account::new("default").unwrap(), Environment::Simulated);
    Watched::load(Role::Active, folder, place).unwrap()
}

fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.cedar"), rules).unwrap();
    folder
}

#[tokio::test]
async fn a_changed_folder_takes_the_place_of_the_old_one() {
    let folder = folder(GOOD);
    let watched = watched(folder.path());
    let first = watched.policy().hash().to_owned();
    watched.look_again().await;
    assert_eq!((watched.policy().hash(), watched.reloads()), (&*first, (0, 0)));
    std::fs::write(folder.path().join("b.cedar"), "forbid(principal, action, resource);").unwrap();
    watched.look_again().await;
    assert_ne!(watched.policy().hash(), first);
    assert_eq!((watched.policy().rules().len(), watched.reloads()), (2, (1, 0)));
    // Roll-back is the previous folder.
    std::fs::remove_file(folder.path().join("b.cedar")).unwrap();
    watched.look_again().await;
    assert_eq!((watched.policy().hash(), watched.reloads()), (&*first, (2, 0)));
}

#[tokio::test]
async fn a_broken_folder_leaves_the_last_good_policy() {
    let folder = folder(GOOD);
    let watched = watched(folder.path());
    let first = watched.policy();
    let file = folder.path().join("a.cedar");
    for (broken, refused) in [("permit(", 1), ("permit(", 1), ("", 1), ("forbid(", 3)] {
        if broken.is_empty() {
            // A folder without rules would deny everything.
            std::fs::rename(&file, folder.path().join("gone")).unwrap();
            watched.look_again().await;
            assert_eq!(watched.reloads(), (0, 2));
            std::fs::rename(folder.path().join("gone"), &file).unwrap();
            continue;
        }
        std::fs::write(&file, broken).unwrap();
        watched.look_again().await;
        assert!(watched.is_stale() && Arc::ptr_eq(&watched.policy(), &first), "{broken}");
        assert_eq!(watched.reloads(), (0, refused), "{broken}");
    }
    std::fs::write(&file, GOOD).unwrap();
    watched.look_again().await;
    assert!(!watched.is_stale());
}

/// Half of a policy may be a policy too: it is never taken.
#[test]
fn a_half_written_folder_is_read_again_until_it_stands_still() {
    let folder = folder(GOOD);
    let path = folder.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    // Each pause somebody writes the next part; the last one changes nothing.
    let parts = Cell::new(0);
    let pause = || {
        match parts.get() {
            0 => write("b.cedar", ""),
            1 => write("b.cedar", "forbid(principal, action, resource);"),
            2 => write("limits.toml", "# none"),
            _ => {}
        }
        parts.set(parts.get() + 1);
    };
    let files = settled(|| Files::read(path), pause).unwrap().unwrap();
    assert_eq!((parts.get(), files.rules.len(), files.limits.is_some()), (4, 2, true));
    assert!(files.rules[1].1.starts_with("forbid"));
    let number = Cell::new(0);
    let restless = || number.replace(number.get() + 1);
    assert_eq!((settled(restless, || {}), number.get()), (None, MOST_READINGS));
}

/// As Kubernetes mounts a ConfigMap: names that lead through a link which is swapped.
#[tokio::test]
async fn a_mounted_config_map_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let state = |name: &str, rules: &str| {
        std::fs::create_dir(path.join(name)).unwrap();
        std::fs::write(path.join(name).join("a.cedar"), rules).unwrap();
    };
    state("..one", GOOD);
    state("..two", "forbid(principal, action, resource);");
    std::os::unix::fs::symlink("..one", path.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.cedar", path.join("a.cedar")).unwrap();
    let watched = watched(path);
    assert!(!watched.policy().rules()[0].forbids);
    std::os::unix::fs::symlink("..two", path.join("..new")).unwrap();
    std::fs::rename(path.join("..new"), path.join("..data")).unwrap();
    watched.look_again().await;
    assert!(watched.policy().rules()[0].forbids);
}
