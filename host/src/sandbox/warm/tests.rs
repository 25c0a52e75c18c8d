use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wasmtime::Module;

use super::*;
use crate::config::Limits;
use crate::sandbox::{NoCalls, engine, guest};

const MEMORY: u64 = 8 << 20;

/// A guest of 4 MiB that has no code to speak of: what is there, is written by the test, and by
/// `roh_alarm`.
fn warm() -> Warm {
    let alarm = r#"(func (export "roh_alarm") (result i32)
        (i32.store8 (i32.const 3000) (i32.const 1))
        (i32.const 2048))"#;
    Warm::new(image(alarm), Some(PageMap::open().expect("Linux has it"))).expect("a guest")
}

/// That guest with this `roh_alarm`.
fn image(alarm: &str) -> InstancePre<Instance> {
    let text = r#"(module
        (memory (export "memory") 64)
        (global (export "__stack_pointer") (mut i32) (i32.const 60000))
        (data (i32.const 0) "first")
        (data (i32.const 70000) "in the middle")
        (data (i32.const 2097150) "across")
        (data (i32.const 4194300) "last")
        (func (export "roh_alloc") (param i32) (result i32) (i32.const 1024))
        ALARM)"#;
    let text = text.replace("ALARM", alarm);
    let engine = engine::pooled(MOST + 8, MEMORY).expect("an engine");
    let module = Module::new(&engine, wat::parse_str(text).expect("valid")).expect("a module");
    guest::linker(&module).expect("linked").instantiate_pre(&module).expect("fits")
}

fn data() -> Instance {
    let limits = Limits { memory: MEMORY, ..Limits::default() };
    Instance::new(Arc::new(NoCalls), &limits, CancellationToken::new())
}

fn take(warm: &Warm, tenant: &str) -> Guest {
    take_as(warm, tenant, None)
}

fn take_as(warm: &Warm, tenant: &str, from: Option<&Packed>) -> Guest {
    let guest = warm.take(&TenantName::new(tenant), from, data()).now_or_never();
    guest.expect("nothing to wait for").expect("there is room")
}

/// An image of what `guest` is now, as which it is made from now on.
fn snapshot(warm: &Warm, guest: &mut Guest) -> Arc<Packed> {
    Arc::new(warm.snapshot(guest).expect("it holds still"))
}

fn content(guest: &Guest) -> Vec<u8> {
    let memory = guest.store.data().memory.expect("it has one");
    memory.data(&guest.store).to_vec()
}

/// All that are kept.
fn compared(warm: &Warm) -> (usize, usize) {
    warm.compared(usize::MAX)
}

fn grow(guest: &mut Guest) {
    let memory = guest.store.data().memory.expect("it has one");
    memory.grow_async(&mut guest.store, 1).now_or_never().expect("at once").expect("in its limit");
}

/// The task that ended had a page fault, if nothing else is said.
fn put_back(warm: &Warm, tenant: &str, guest: Guest) {
    put_back_after(warm, tenant, guest, 1);
}

fn put_back_after(warm: &Warm, tenant: &str, mut guest: Guest, faults: u64) {
    guest.faults_before = 0;
    warm.put_back(TenantName::new(tenant), guest, faults);
}

fn write(guest: &mut Guest, at: usize, bytes: &[u8]) {
    let memory = guest.store.data().memory.expect("it has one");
    memory.write(&mut guest.store, at, bytes).expect("within");
}

fn read(guest: &Guest, at: usize, len: usize) -> Vec<u8> {
    let memory = guest.store.data().memory.expect("it has one");
    memory.data(&guest.store)[at..at + len].to_vec()
}

#[test]
fn a_new_one_is_as_its_image_and_knows_where_its_alarm_is() {
    let warm = warm();
    let guest = take(&warm, "a");
    assert!(content(&guest) == warm.undo.as_ref().expect("Linux has it").image());
    let Addresses { alarm, no_memory } = guest.store.data().addresses;
    assert_eq!((alarm, no_memory), (Some(2048), None));
    put_back(&warm, "a", guest);
    assert_eq!(take(&warm, "a").store.data().addresses.alarm, Some(2048));
}

#[test]
fn a_guest_need_not_say_where_its_alarm_is_but_if_it_does_it_says_it() {
    assert!(Warm::new(image(""), None).is_ok_and(|warm| warm.addresses.alarm.is_none()));
    for alarm in ["(result i32) unreachable", "(result i64) (i64.const 2048)"] {
        let image = image(&format!(r#"(func (export "roh_alarm") {alarm})"#));
        assert!(Warm::new(image, None).is_err(), "{alarm}");
    }
}

#[test]
fn what_a_task_wrote_is_gone_for_the_next() {
    let warm = warm();
    for _ in 0..3 {
        let mut guest = take(&warm, "a");
        assert_eq!(read(&guest, 70000, 13), b"in the middle");
        assert_eq!(read(&guest, 4_000_000, 6), [0; 6]);
        write(&mut guest, 70003, b"secret");
        write(&mut guest, 4_000_000, b"secret");
        put_back(&warm, "a", guest);
        assert_eq!(compared(&warm), (1, 0));
    }
}

#[test]
fn pages_are_looked_for_only_after_faults() {
    let warm = warm();
    assert!(warm.undo.as_ref().is_some_and(|undo| undo.counts), "Linux counts them");
    let mut without = 0;
    for round in 0..50 {
        let mut guest = take(&warm, "a");
        let before = threads::faults().expect("Linux counts them");
        write(&mut guest, 70003, b"secret");
        // Now and then, one that nobody wrote to before.
        write(&mut guest, 1_000_000 + round / 10 * 8192, b"secret");
        let faults = threads::faults().expect("Linux counts them") - before;
        assert!(faults > 0 || round % 10 > 0, "a page became its own without a fault");
        without += u32::from(faults == 0);
        warm.put_back(TenantName::new("a"), guest, faults);
        assert_eq!(compared(&warm), (1, 0), "in round {round}");
    }
    assert!(without > 0, "no task was without faults");
}

#[test]
fn an_instance_serves_one_tenant_only() {
    let warm = warm();
    let a = take(&warm, "a");
    put_back(&warm, "a", a);
    let _b = take(&warm, "b");
    assert_eq!(compared(&warm), (1, 0));
    let _a = take(&warm, "a");
    assert_eq!(compared(&warm), (0, 0));
}

#[test]
fn one_that_grew_or_wrote_too_much_or_is_in_the_middle_of_a_call_is_not_kept() {
    let warm = warm();
    let mut grown = take(&warm, "a");
    grow(&mut grown);
    put_back(&warm, "a", grown);
    let mut full = take(&warm, "a");
    for page in 0..=MOST_BYTES / 4096 {
        write(&mut full, page * 4096, b"x");
    }
    put_back(&warm, "a", full);
    let mut deep = take(&warm, "a");
    deep.set_stack(59_000);
    put_back(&warm, "a", deep);
    assert_eq!(compared(&warm), (0, 0));
}

#[test]
fn so_many_are_kept_and_then_the_oldest_goes() {
    let warm = warm();
    let tenant = |number: u32| format!("t{number}");
    for number in 0..=MOST {
        let guest = take(&warm, &tenant(number));
        put_back(&warm, &tenant(number), guest);
    }
    assert_eq!(compared(&warm), (MOST as usize, 0));
    let _second = take(&warm, &tenant(1));
    assert_eq!(compared(&warm).0, MOST as usize - 1);
    let _first = take(&warm, &tenant(0));
    assert_eq!(compared(&warm).0, MOST as usize - 1, "it was taken apart");
}

#[test]
fn nothing_is_kept_without_the_kernels_account() {
    let Warm { image, .. } = warm();
    let warm = Warm::new(image, None).expect("a guest");
    let guest = take(&warm, "a");
    put_back(&warm, "a", guest);
    assert_eq!(compared(&warm), (0, 0));
}

#[test]
fn an_image_is_what_its_instance_was_even_if_that_grew() {
    let warm = warm();
    let mut loaded = take(&warm, "a");
    write(&mut loaded, 70003, b"loaded");
    grow(&mut loaded);
    let end = 65 * 65536;
    write(&mut loaded, end - 3, b"end");
    let (image, as_it_was) = (snapshot(&warm, &mut loaded), content(&loaded));
    // The task that loaded it goes on, and so do others, in instances that are new and kept.
    let mut guests = vec![loaded, take_as(&warm, "a", Some(&image))];
    for round in 0..4 {
        for mut guest in guests.drain(..) {
            write(&mut guest, 70000, b"task");
            write(&mut guest, 64 * 65536 + round * 4096, b"task");
            put_back(&warm, "a", guest);
        }
        assert_eq!(compared(&warm), (2, 0));
        guests.extend([0, 1].map(|_| take_as(&warm, "a", Some(&image))));
        assert_eq!(compared(&warm), (0, 0), "those that were kept are taken");
        assert!(guests.iter().all(|guest| content(guest) == as_it_was));
    }
    assert!(content(&take(&warm, "a")) == warm.undo.as_ref().expect("Linux").image());
}

#[test]
fn an_instance_changes_its_image_where_there_is_no_room_for_more() {
    let warm = warm();
    let mut images = [1, 2].map(|number| {
        let mut guest = take(&warm, "a");
        write(&mut guest, number * 70_000, b"image");
        write(&mut guest, 3 << 20, &[number as u8; 5000]);
        (snapshot(&warm, &mut guest), content(&guest))
    });
    let mut guests: Vec<_> = (0..MOST).map(|_| take_as(&warm, "a", Some(&images[0].0))).collect();
    guests.drain(..).for_each(|guest| put_back(&warm, "a", guest));
    assert_eq!(compared(&warm), (MOST as usize, 0));
    for _ in 0..6 {
        images.rotate_left(1);
        let mut guest = take_as(&warm, "a", Some(&images[0].0));
        assert_eq!(compared(&warm).0, MOST as usize - 1, "it is one of those");
        assert!(content(&guest) == images[0].1);
        write(&mut guest, 1 << 20, b"task");
        put_back(&warm, "a", guest);
        assert_eq!(compared(&warm), (MOST as usize, 0));
    }
    let other = take_as(&warm, "b", Some(&images[0].0));
    assert_eq!(compared(&warm).0, MOST as usize, "no other tenant's");
    assert!(content(&other) == images[0].1);
}

#[test]
fn no_image_is_taken_in_the_middle_of_a_call_or_of_too_much() {
    let warm = warm();
    let mut guest = take(&warm, "a");
    write(&mut guest, 0, b"x");
    assert!(warm.snapshot(&mut guest).is_some());
    guest.set_stack(59_000);
    assert!(warm.snapshot(&mut guest).is_none());
    let (image, memory) = ([0u8; 9000], [1u8; 9000]);
    let written = || vec![0..4096, 4096..8192, 8192..9000];
    let taken = |most| Snapshot::take(&memory, &image, written(), most).is_some();
    assert!(taken(9000) && !taken(8999));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is read and written, wherever, by however many tasks, whichever image they start
    /// from and whichever they leave; together they touch fewer pages than would have the
    /// instance taken apart.
    #[test]
    fn nothing_survives(
        tasks in vec(
            (
                vec((0usize..4 << 20, vec(any::<u8>(), 1..9000)), 0..18),
                any::<prop::sample::Index>(),
                any::<bool>(),
            ),
            1..6,
        ),
    ) {
        let warm = warm();
        let interpreter = warm.undo.as_ref().expect("Linux").image().to_vec();
        let mut images: Vec<(Option<Arc<Packed>>, Vec<u8>)> = vec![(None, interpreter)];
        // How many, by their image.
        let mut kept = vec![0];
        for (task, from, leaves_image) in tasks {
            let before = threads::faults().expect("Linux counts them");
            let from = from.index(images.len());
            let (image, as_it_is) = images[from].clone();
            let mut guest = take_as(&warm, "a", image.as_deref());
            kept[from] = usize::saturating_sub(kept[from], 1);
            prop_assert!(content(&guest) == as_it_is);
            for (at, bytes) in task {
                let at = at.min((4 << 20) - bytes.len());
                let _ = read(&guest, at ^ 4096, 1);
                write(&mut guest, at, &bytes);
            }
            if leaves_image {
                images.push((Some(snapshot(&warm, &mut guest)), content(&guest)));
                write(&mut guest, 100, b"and on it goes");
                kept.push(0);
            }
            kept[if leaves_image { images.len() - 1 } else { from }] += 1;
            let faults = threads::faults().expect("Linux counts them") - before;
            // The test itself reads all of its memory, over and over.
            guest.faults_before = faults;
            warm.put_back(TenantName::new("a"), guest, faults);
            prop_assert_eq!(compared(&warm), (kept.iter().sum(), 0));
        }
    }
}

#[test]
fn what_its_tasks_touched_beside_its_memory_counts_as_an_instances_stack() {
    let warm = warm();
    let Some(undo) = warm.undo.as_ref().filter(|undo| undo.counts) else { return };
    let most = NOT_THE_STACKS + (MOST_BYTES / undo.page_map.page()) as u64;
    // Bit by bit, the same.
    for step in [most, 100] {
        for _ in 0..most / step {
            let guest = take(&warm, "a");
            put_back_after(&warm, "a", guest, step);
            assert_eq!(compared(&warm), (1, 0));
        }
        let guest = take(&warm, "a");
        put_back_after(&warm, "a", guest, step);
        assert_eq!(compared(&warm), (0, 0));
    }
    // Not to be told.
    let guest = take(&warm, "a");
    put_back_after(&warm, "a", guest, u64::MAX);
    assert_eq!(compared(&warm), (0, 0));
}
