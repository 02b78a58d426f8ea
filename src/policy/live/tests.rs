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

const FREEZE: &str = "forbid(principal, action, resource);";

/// Two looks, as they agree on what the folder holds.
async fn look_twice(watched: &Watched) {
    watched.look_again().await;
    watched.look_again().await;
}

#[tokio::test]
async fn a_changed_folder_takes_the_place_of_the_old_one() {
    let folder = folder(GOOD);
    let watched = watched(folder.path());
    let first = watched.policy().hash().to_owned();
    look_twice(&watched).await;
    assert_eq!((watched.policy().hash(), watched.reloads()), (&*first, (0, 0)));
    std::fs::write(folder.path().join("b.cedar"), FREEZE).unwrap();
    look_twice(&watched).await;
    assert_ne!(watched.policy().hash(), first);
    assert_eq!((watched.policy().rules().len(), watched.reloads()), (2, (1, 0)));
    // Roll-back is the previous folder.
    std::fs::remove_file(folder.path().join("b.cedar")).unwrap();
    look_twice(&watched).await;
    assert_eq!((watched.policy().hash(), watched.reloads()), (&*first, (2, 0)));
}

/// A forbid that is away while its folder is replaced, and a folder that is replaced file by file.
#[tokio::test(start_paused = true)]
async fn what_stands_there_at_one_look_only_is_never_taken() {
    let folder = folder(GOOD);
    let path = folder.path().to_owned();
    std::fs::write(path.join("b.cedar"), FREEZE).unwrap();
    let policies = Arc::new(Policies::new(Some(watched(&path)), None, Mode::Enforce));
    let watched = policies.watched().next().unwrap();
    let first = watched.policy();
    let beside = policies.clone();
    let watching = tokio::spawn(async move { beside.watch().await });
    // Between two looks each: the first is 2 s from now.
    sleep(Duration::from_millis(2_000 - 10)).await;
    for (moved, name) in
        [(true, "b.cedar"), (false, "b.cedar"), (true, "a.cedar"), (false, "a.cedar")]
    {
        let (file, aside) = (path.join(name), path.join(".aside"));
        let (from, to) = if moved { (file, aside) } else { (aside, file) };
        std::fs::rename(from, to).unwrap();
        sleep(INTERVAL).await;
        assert!(Arc::ptr_eq(&watched.policy(), &first), "{name} was away for one look");
    }
    std::fs::write(path.join("b.cedar"), GOOD).unwrap();
    sleep(INTERVAL).await;
    assert!(Arc::ptr_eq(&watched.policy(), &first), "seen once");
    std::fs::write(path.join("c.cedar"), FREEZE).unwrap();
    sleep(INTERVAL).await;
    assert!(Arc::ptr_eq(&watched.policy(), &first), "the other half was seen once");
    assert_eq!((watched.is_stale(), watched.reloads()), (false, (0, 0)));
    sleep(INTERVAL).await;
    assert_eq!((watched.policy().rules().len(), watched.reloads()), (3, (1, 0)));
    watching.abort();
}

#[tokio::test]
async fn a_folder_that_changes_all_the_time_is_complained_of() {
    let folder = folder(GOOD);
    let watched = watched(folder.path());
    let first = watched.policy();
    for number in 0..=MOST_LOOKS {
        let rule = format!("@id(\"{number}\") {GOOD}");
        std::fs::write(folder.path().join("a.cedar"), rule).unwrap();
        assert!(!watched.is_stale(), "{number}");
        watched.look_again().await;
        if watched.is_stale() {
            break;
        }
    }
    assert!(watched.is_stale() && Arc::ptr_eq(&watched.policy(), &first));
    assert_eq!(watched.reloads(), (0, 1));
    // It stands still.
    watched.look_again().await;
    assert_eq!((watched.is_stale(), watched.reloads()), (false, (1, 1)));
}

#[tokio::test]
async fn a_broken_folder_leaves_the_last_good_policy() {
    let folder = folder(GOOD);
    let watched = watched(folder.path());
    let first = watched.policy();
    let file = folder.path().join("a.cedar");
    let is_kept = |refused: u64, what: &str| {
        assert!(watched.is_stale() && Arc::ptr_eq(&watched.policy(), &first), "{what}");
        assert_eq!(watched.reloads(), (0, refused), "{what}");
    };
    for (refused, text) in [(1, "permit("), (1, "permit("), (2, "// Every rule is a comment.")] {
        std::fs::write(&file, text).unwrap();
        look_twice(&watched).await;
        is_kept(refused, text);
    }
    // All rules are gone, which would deny everything.
    std::fs::rename(&file, folder.path().join(".gone")).unwrap();
    look_twice(&watched).await;
    is_kept(3, "no file");
    std::fs::rename(folder.path().join(".gone"), &file).unwrap();
    std::fs::write(folder.path().join("MORE.CEDAR"), FREEZE).unwrap();
    std::fs::write(&file, GOOD).unwrap();
    look_twice(&watched).await;
    is_kept(4, "a file of no kind");
    std::fs::remove_file(folder.path().join("MORE.CEDAR")).unwrap();
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
    state("..2026_11_27_10_00_00.1", GOOD);
    state("..2026_11_27_11_00_00.2", FREEZE);
    std::os::unix::fs::symlink("..2026_11_27_10_00_00.1", path.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.cedar", path.join("a.cedar")).unwrap();
    let watched = watched(path);
    assert!(!watched.policy().rules()[0].forbids);
    std::os::unix::fs::symlink("..2026_11_27_11_00_00.2", path.join("..new")).unwrap();
    std::fs::rename(path.join("..new"), path.join("..data")).unwrap();
    look_twice(&watched).await;
    assert!(watched.policy().rules()[0].forbids);
}
