use futures_util::FutureExt as _;

use super::super::snapshot::Snapshot;
use super::kept::{MOST_NOTES, NOTES_BYTES, OVERHEAD};
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
    let of_image = vec![0; bytes];
    let memory = Snapshot::take(&memory, &of_image, written, usize::MAX).expect("fits");
    let memory = Packed::pack(&Arc::new(memory), &of_image);
    ScriptImage { memory, printed: Default::default(), clock: Duration::ZERO }
}

fn keep(loading: Loading, bytes: usize) {
    loading.end().expect("nothing was against it").keep(image(bytes));
}

/// Whether that script has an image. It counts as used.
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
    let changed: &[(&str, &[u8])] = &[("a", b"x = 2"), ("b", b""), ("m", b"import b, a")];
    let mut again = loading(find(&scripts, "t", &key(changed)));
    again.was_answered("m".into(), b"import b, a");
    keep(again, 10);
    assert!(matches!(find(&scripts, "t", &key(changed)), Found::Image(_)));
}

#[test]
fn an_image_stays_where_a_key_does_not_know_what_its_top_level_asked_for() {
    let scripts = scripts(100_000);
    let key = |names: &[&str]| ScriptKey {
        answers: names.iter().map(|name| (name.to_string(), digest(b""))).collect(),
        ..module("m")
    };
    let mut first = loading(find(&scripts, "t", &key(&[])));
    for name in ["a", "m"] {
        first.was_answered(name.into(), b"");
    }
    keep(first, 10);
    let mut made = Vec::new();
    for task in 2..=100 {
        match find(&scripts, "t", &key(&["m"])) {
            Found::Without => {}
            Found::Build(mut build) => {
                build.answers = key(&["a", "m"]).answers;
                keep(loading(Found::Build(build)), 10);
                made.push(task);
            }
            _ => panic!("it asked for more"),
        }
    }
    assert_eq!(made, [2, 4, 8, 16, 32, 64], "it may ask for something else each time");
    assert!(matches!(find(&scripts, "t", &key(&["a", "m"])), Found::Image(_)));
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

/// What an image takes up of which there is room for so many.
const EACH: usize = 1000;

fn room_for(images: usize) -> Arc<Scripts> {
    scripts(images * (EACH + OVERHEAD + 100))
}

/// A task comes with that script; whether it starts from an image, or makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    From,
    Made,
    Without,
}

fn come(scripts: &Arc<Scripts>, tenant: &str, name: &str) -> Came {
    match find(scripts, tenant, &module(name)) {
        Found::Image(_) => Came::From,
        Found::Without => Came::Without,
        Found::Wait(_) => panic!("nobody else loads it"),
        found => {
            keep(loading(found), EACH);
            Came::Made
        }
    }
}

/// How many of so many tasks start from an image, and how many make one.
fn drive(
    scripts: &Arc<Scripts>,
    tasks: usize,
    mut next: impl FnMut(usize) -> (&'static str, usize),
) -> (usize, usize) {
    let came: Vec<_> = (0..tasks)
        .map(|task| {
            let (tenant, script) = next(task);
            come(scripts, tenant, &script.to_string())
        })
        .collect();
    let kept = scripts.lock();
    assert!(kept.images.bytes <= kept.budget);
    for shelf in [&kept.images, &kept.notes] {
        assert_eq!(shelf.bytes, shelf.entries.values().map(|entry| entry.bytes).sum::<usize>());
    }
    let count = |what| came.iter().filter(|came| **came == what).count();
    (count(Came::From), count(Came::Made))
}

/// The same each time.
fn random(below: usize) -> impl FnMut() -> usize {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    }
}

#[test]
fn images_stay_where_more_scripts_come_than_there_is_room_for() {
    let mut any = random(1000);
    type Order<'a> = &'a mut dyn FnMut(usize) -> usize;
    let orders: [(&str, Order); 4] = [
        ("in turn", &mut |task| task % 1000),
        ("in pairs", &mut |task| task / 2 % 1000),
        ("in fives", &mut |task| task / 5 % 1000),
        ("at random", &mut |_| any()),
    ];
    for (order, next) in orders {
        for images in [100, 300] {
            let scripts = room_for(images);
            drive(&scripts, 40_000, |task| ("t", next(task)));
            let (from, made) = drive(&scripts, 40_000, |task| ("t", next(task)));
            // A tenth for each hundred is all that there can be.
            assert!(from > 30 * images, "{order}, {images}: {from} of 40,000 start from one");
            assert!(made < 8 * images, "{order}, {images}: {made} are made");
        }
    }
}

#[test]
fn images_that_nobody_uses_go_whosever_they_are() {
    let scripts = room_for(100);
    // Some had few, and some had many; all were used much.
    drive(&scripts, 40_000, |task| (["one", "two"][usize::from(task % 100 > 4)], task % 100));
    for (tenant, first) in [("two", 1000), ("three", 2000), ("three", 5000)] {
        drive(&scripts, 80_000, |task| (tenant, first + task % 90));
        let (from, made) = drive(&scripts, 9_000, |task| (tenant, first + task % 90));
        assert_eq!((from, made), (9_000, 0), "{tenant} from {first} on");
    }
    // It is all the same whether they are more than there are notes.
    drive(&scripts, 200_000, |task| ("four", task % 2000));
    let (from, made) = drive(&scripts, 20_000, |task| ("four", task % 2000));
    assert!(from > 800 && made < 400, "{from} from an image, {made} made");
}

#[test]
fn a_busy_tenant_leaves_the_others_room() {
    let scripts = room_for(100);
    // Nine of ten tasks are of one that has more than there is room for.
    let mut any = random(200);
    let mut next = |task| match task % 10 {
        0 => (["one", "two", "three"][task / 10 % 3], task / 30 % 4),
        _ => ("busy", any()),
    };
    drive(&scripts, 50_000, &mut next);
    let few = |scripts: &Arc<Scripts>| {
        let tenants = ["one", "two", "three"].iter();
        let all =
            tenants.flat_map(|tenant| (0..4).map(move |script| (*tenant, script.to_string())));
        all.filter(|(tenant, script)| has(scripts, tenant, script)).count()
    };
    assert_eq!(few(&scripts), 12);
    // One script of it is most of what comes.
    drive(&scripts, 50_000, |task| if task % 10 == 0 { next(task) } else { ("busy", 0) });
    assert_eq!(few(&scripts), 12);
    // As are scripts of which none comes again.
    for i in 0..50_000 {
        let source = i.to_string();
        let key = ScriptKey::alone(&Script::Inline { file: "f".into(), source });
        if let Found::Build(build) = find(&scripts, "busy", &key) {
            keep(loading(Found::Build(build)), EACH);
        }
        if i % 50 == 0 {
            few(&scripts);
        }
    }
    assert_eq!(few(&scripts), 12);
}

#[test]
fn a_tenant_that_comes_seldom_has_its_image() {
    let scripts = room_for(50);
    // Of the other's none comes often either, but there are many of them.
    let mut any = random(20_000);
    drive(&scripts, 50_000, |_| ("busy", any()));
    let mut came = Vec::new();
    for task in 0..500_000 {
        if task % 50_000 == 0 {
            came.push(come(&scripts, "seldom", "m"));
        }
        come(&scripts, "busy", &any().to_string());
    }
    assert_eq!(came[0], Came::Made);
    assert!(came[1..].iter().all(|came| *came == Came::From), "{came:?}");
}

#[test]
fn of_a_tenant_s_own_those_stay_that_are_used_most() {
    let scripts = room_for(4);
    for name in ["a", "b", "c", "d"] {
        assert_eq!(come(&scripts, "t", name), Came::Made);
    }
    for name in ["a", "b", "d"] {
        assert_eq!(come(&scripts, "t", name), Came::From);
    }
    let came: Vec<_> = (0..5).map(|_| come(&scripts, "t", "e")).collect();
    assert_eq!(came.iter().filter(|came| **came == Came::Made).count(), 1, "{came:?}");
    assert_eq!((came[0], came[4]), (Came::Without, Came::From));
    assert!(["a", "b", "d"].iter().all(|name| has(&scripts, "t", name)));
    assert!(!has(&scripts, "t", "c"));
}

#[test]
fn what_has_no_room_is_not_made_again_and_again() {
    let scripts = scripts(1 << 20);
    drive(&scripts, 1000, |task| ("small", task));
    let made = |tenant: &str, bytes| {
        let came = (0..300_000).map(|_| match find(&scripts, tenant, &module("large")) {
            Found::Build(build) => {
                keep(loading(Found::Build(build)), bytes);
                true
            }
            _ => false,
        });
        came.filter(|made| *made).count()
    };
    assert_eq!(made("t", 2 << 20), 1, "there can never be room for it");
    // It takes nearly all, and comes in their place once they were used long ago.
    assert!(made("u", (1 << 20) - 2000) <= 2);
    assert!(has(&scripts, "u", "large"));
}

#[test]
fn a_script_whose_module_changes_keeps_its_place() {
    let scripts = room_for(10);
    let key = |script: usize, version: u8| ScriptKey {
        answers: vec![("m".into(), digest(&[version]))],
        ..module(&script.to_string())
    };
    let come = |script, version| match find(&scripts, "t", &key(script, version)) {
        Found::Image(_) => Came::From,
        Found::Without => Came::Without,
        found => {
            let mut loading = loading(found);
            loading.was_answered("m".into(), &[version]);
            keep(loading, EACH - 100);
            Came::Made
        }
    };
    for version in 0..50 {
        for task in 0..200 {
            come(task % 20, 0);
            let came = come(100, version);
            assert!(came == Came::From || task == 0 || version == 0, "{version}, {task}: {came:?}");
        }
    }
}

#[test]
fn no_more_notes_are_kept_than_there_is_room_for() {
    let scripts = scripts(1 << 20);
    for i in 0..3 * MOST_NOTES {
        drop(find(&scripts, "t", &module(&i.to_string())));
    }
    let mut told = 0;
    for i in 0..100 {
        let mut long = loading(find(&scripts, "u", &module(&i.to_string())));
        for answer in 0..MOST_ANSWERS {
            let name = format!("m{answer}{}", "x".repeat(200));
            told += name.len();
            long.was_answered(name, b"");
        }
        long.depends_on_its_task();
    }
    assert!(told > NOTES_BYTES, "they would be too many");
    let kept = scripts.lock();
    assert!(kept.notes.entries.len() <= MOST_NOTES && kept.notes.bytes <= NOTES_BYTES);
}

#[test]
fn who_waited_learns_of_it_even_if_nothing_is_kept() {
    let scripts = scripts(1000);
    for (name, bytes) in [("too large", 2000), ("large", 900)] {
        let first = loading(find(&scripts, "t", &module(name)));
        let Found::Wait(building) = find(&scripts, "t", &module(name)) else { panic!("{name}") };
        keep(first, bytes);
        assert!(matches!(building.found(&module(name)), Some(Found::Image(_))), "{name}");
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
fn what_is_no_name_of_a_module_is_not_noted() {
    let (scripts, key) = (scripts(100_000), module("m"));
    let mut first = loading(find(&scripts, "t", &key));
    first.was_answered("x".repeat(1 << 20), b"");
    first.was_answered("../x".into(), b"");
    keep(first, 10);
    assert!(matches!(find(&scripts, "t", &key), Found::Image(_)));
}
