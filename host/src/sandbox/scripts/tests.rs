use futures_util::FutureExt as _;

use super::*;

fn scripts(budget: usize) -> Arc<Scripts> {
    Arc::new(Scripts::new(budget))
}

fn module(name: &str) -> ScriptKey {
    ScriptKey::alone(&Script::Module { name: name.into() })
}

fn find(scripts: &Arc<Scripts>, tenant: &str, key: &ScriptKey) -> Found {
    scripts.find(&TenantName::new(tenant), key)
}

fn loading(found: Found) -> Loading {
    match found {
        Found::Build(build) => Loading::new(TaskInfo::default(), Some(build)),
        _ => panic!("somebody else loads it"),
    }
}

fn image(bytes: usize) -> ScriptImage {
    let memory = vec![1; bytes];
    let written = std::iter::once(0..bytes).collect();
    let memory = Snapshot::take(&memory, &vec![0; bytes], written, usize::MAX).expect("fits");
    ScriptImage { memory: Arc::new(memory), printed: Default::default(), clock: Duration::ZERO }
}

fn keep(loading: Loading, bytes: usize) {
    loading.end().expect("nothing was against it").keep(image(bytes));
}

/// Has an image of so many bytes, if it is kept.
fn has(scripts: &Arc<Scripts>, tenant: &str, name: &str) -> bool {
    matches!(find(scripts, tenant, &module(name)), Found::Image(_))
}

#[test]
fn one_task_loads_and_the_others_wait_for_it() {
    let (scripts, key) = (scripts(1000), module("m"));
    let first = loading(find(&scripts, "t", &key));
    let Found::Wait(building) = find(&scripts, "t", &key) else { panic!("there are two") };
    assert!(building.over().now_or_never().is_none());
    keep(first, 10);
    assert!(building.over().now_or_never().is_some());
    assert!(matches!(building.found(&key), Some(Found::Image(_))));
    assert!(matches!(find(&scripts, "t", &key), Found::Image(_)));
    // It is another script for another tenant.
    assert!(matches!(find(&scripts, "u", &key), Found::Build(_)));
}

#[test]
fn nobody_waits_for_a_script_that_has_no_image() {
    let scripts = scripts(1000);
    type Event = fn(&mut Loading);
    let events: [(&str, Event); 2] = [
        ("asks", Loading::depends_on_its_task),
        ("random", |loading| {
            loading.was_random();
            loading.was_random();
        }),
    ];
    for (name, event) in events {
        let mut of_first = loading(find(&scripts, "t", &module(name)));
        event(&mut of_first);
        // While it still runs.
        let Found::Without = find(&scripts, "t", &module(name)) else { panic!("{name}") };
        assert!(of_first.end().is_none());
    }
    let mut many = loading(find(&scripts, "t", &module("many")));
    (0..=MOST_ANSWERS).for_each(|i| many.was_answered(format!("m{i}"), b""));
    assert!(many.end().is_none());
    let mut once_random = loading(find(&scripts, "t", &module("m")));
    once_random.was_random();
    keep(once_random, 10);
    assert!(has(&scripts, "t", "m"), "the first random bytes are the guest's own");
}

#[test]
fn a_top_level_that_failed_is_tried_again_after_a_while() {
    let (scripts, key) = (scripts(1000), module("m"));
    drop(loading(find(&scripts, "t", &key)));
    assert!(matches!(find(&scripts, "t", &key), Found::Without));
    std::thread::sleep(RETRY);
    assert!(matches!(find(&scripts, "t", &key), Found::Build(_)));
}

#[test]
fn an_image_is_good_as_long_as_its_top_level_would_be_told_the_same() {
    let scripts = scripts(100_000);
    let key = |answers: &[(&str, &[u8])]| ScriptKey {
        answers: answers.iter().map(|&(name, text)| (name.into(), digest(text))).collect(),
        ..module("m")
    };
    let mut of_first = loading(find(&scripts, "t", &key(&[])));
    of_first.was_answered("m".into(), b"import b, a");
    of_first.was_answered("b".into(), b"");
    of_first.was_answered("a".into(), b"x = 1");
    // Those who came in the meantime, and those to whom the last answer was news.
    let Found::Wait(building) = find(&scripts, "t", &key(&[])) else { panic!("there are two") };
    keep(of_first, 10);
    let early: &[(&str, &[u8])] = &[("b", b""), ("m", b"import b, a")];
    for answers in [&[], early] {
        assert!(matches!(building.found(&key(answers)), Some(Found::Image(_))));
    }
    let same: &[(&str, &[u8])] = &[("a", b"x = 1"), ("b", b""), ("c", b""), ("m", b"import b, a")];
    assert!(matches!(find(&scripts, "t", &key(same)), Found::Image(_)));
    let others: [&[(&str, &[u8])]; 3] = [
        &[("a", b"x = 2"), ("b", b""), ("m", b"import b, a")],
        &[("a", b"x = 1"), ("b", b"")],
        &[],
    ];
    for other in others {
        let mut again = loading(find(&scripts, "t", &key(other)));
        again.was_answered("m".into(), b"import a");
        keep(again, 10);
    }
}

#[test]
fn a_script_that_comes_with_its_task_has_an_image_from_its_second_task_on() {
    let scripts = scripts(1000);
    let key = ScriptKey::alone(&Script::Inline { file: "f".into(), source: "s".into() });
    assert!(matches!(find(&scripts, "t", &key), Found::Without));
    keep(loading(find(&scripts, "t", &key)), 10);
    assert!(matches!(find(&scripts, "t", &key), Found::Image(_)));
    let other = ScriptKey::alone(&Script::Inline { file: "f".into(), source: "t".into() });
    assert!(matches!(find(&scripts, "t", &other), Found::Without));
}

#[test]
fn the_tenant_that_has_most_gives_way_with_what_it_used_least_lately() {
    let each = 1000;
    let room = 4 * (each + OVERHEAD + 100);
    let scripts = scripts(room);
    let build = |tenant: &str, name| keep(loading(find(&scripts, tenant, &module(name))), each);
    build("modest", "old");
    for name in ["a", "b", "c"] {
        build("greedy", name);
    }
    assert!(has(&scripts, "greedy", "a"), "so it is not the oldest any more");
    build("greedy", "d");
    assert!(has(&scripts, "modest", "old"));
    assert!(has(&scripts, "greedy", "a") && has(&scripts, "greedy", "d"));
    assert!(!has(&scripts, "greedy", "b"));
    assert!(scripts.lock().bytes <= room);
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let scripts = scripts(1 << 20);
    for i in 0..3 * MOST {
        drop(find(&scripts, "t", &module(&i.to_string())));
    }
    let kept = scripts.lock();
    assert_eq!(kept.scripts.len(), MOST);
    assert_eq!(kept.bytes, kept.scripts.values().map(|entry| entry.bytes).sum::<usize>());
    drop(kept);
    // More than all room there is.
    keep(loading(find(&scripts, "u", &module("large"))), 2 << 20);
    assert!(!has(&scripts, "u", "large"));
    assert!(scripts.lock().bytes <= 1 << 20);
}

#[test]
fn who_waited_learns_of_it_even_if_nothing_is_kept() {
    let scripts = scripts(1000);
    for (name, bytes, has_image) in [("too large", 2000, false), ("large", 900, true)] {
        let first = loading(find(&scripts, "t", &module(name)));
        let Found::Wait(building) = find(&scripts, "t", &module(name)) else { panic!("{name}") };
        keep(first, bytes);
        let found = building.found(&module(name)).expect("it is known");
        assert_eq!(matches!(found, Found::Image(_)), has_image, "{name}");
    }
    // One that took long to fail.
    let key = module("fails");
    let first = loading(find(&scripts, "t", &key));
    let Found::Wait(building) = find(&scripts, "t", &key) else { panic!("there are two") };
    std::thread::sleep(RETRY);
    drop(first);
    assert!(matches!(building.found(&key), Some(Found::Without)));
    assert!(matches!(find(&scripts, "t", &key), Found::Without), "it failed just now");
    let off = self::scripts(0);
    assert!(matches!(find(&off, "t", &key), Found::Without));
}

#[test]
fn many_small_scripts_of_one_tenant_leave_the_others_alone() {
    let scripts = scripts(1 << 20);
    keep(loading(find(&scripts, "modest", &module("m"))), 500_000);
    for i in 0..3 * MOST {
        let source = i.to_string();
        let key = ScriptKey::alone(&Script::Inline { file: "f".into(), source });
        assert!(matches!(find(&scripts, "greedy", &key), Found::Without));
    }
    assert!(has(&scripts, "modest", "m"));
}

#[test]
fn what_is_no_name_of_a_module_is_not_noted() {
    let (scripts, key) = (scripts(100_000), module("m"));
    let mut first = loading(find(&scripts, "t", &key));
    first.was_answered("x".repeat(1 << 20), b"");
    first.was_answered("../x".into(), b"");
    keep(first, 10);
    assert!(matches!(find(&scripts, "t", &key), Found::Image(_)));
}
