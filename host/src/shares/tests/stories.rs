//! Single stories, of tenants and tasks that are made up for them.

use super::*;

#[test]
fn long_tasks_get_no_more_than_short_ones() {
    for slots in [1, 2, 3, 8] {
        for shares in [[1, 1], [1, 3], [3, 1]] {
            let spec = |share, millis| Spec {
                share,
                watermark: ANY,
                durations: vec![Duration::from_millis(millis)],
            };
            let mut world = World::flooded(slots, vec![spec(shares[0], 5000), spec(shares[1], 5)]);
            world.run(Duration::from_secs(300));
            for (tenant, due) in world.due().into_iter().enumerate() {
                let used = world.used(tenant) / 300.0;
                assert!((used - due).abs() < 0.1 * due, "{used} slots of {due}: {:?}", world.specs);
            }
        }
    }
}

#[test]
fn tenants_of_one_slot_each_take_turns_by_time() {
    // More of them than slots; every other one runs short tasks.
    let spec = |tenant| Spec {
        share: 1,
        watermark: 1,
        durations: vec![if tenant % 2 == 0 { LONGEST } else { Duration::from_millis(10) }],
    };
    let mut world = World::flooded(4, (0..10).map(spec).collect());
    world.run(Duration::from_secs(300));
    for tenant in 0..10 {
        let used = world.used(tenant);
        assert!((used - 120.0).abs() < 10.0, "{used} of 120 seconds");
    }
}

#[test]
fn few_short_tasks_get_their_share_beside_many_long_ones() {
    // All of one slot each, and of the short ones fewer than slots.
    let spec = |millis| Spec { durations: vec![Duration::from_millis(millis)], ..seconds(1, 1, 0) };
    let mut world = World::flooded(4, [10, 10, 10, 5000, 5000, 5000, 5000].map(spec).into());
    world.run(Duration::from_secs(300));
    world.check_due().expect("each its due");
}

/// One that waited long for its slot is behind by that, and keeps the slot for long. What it
/// is behind by is its own.
#[test]
fn nobody_inherits_what_somebody_else_is_behind_by() {
    let specs = [200, 200, 100_000, 1].map(|duration| seconds(1, ANY, duration));
    let mut world = World::new(8, specs.into());
    world.flood(0);
    world.flood(1);
    world.start();
    world.run(Duration::from_secs(10));
    world.push(2);
    for tenant in [0, 1] {
        world.specs[tenant] = seconds(1, ANY, 1);
    }
    world.run(Duration::from_secs(1000));
    assert_eq!(world.tenants[2].running, 1);
    // Another comes again and again, and wants what it can get for a minute.
    for _ in 0..10 {
        world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
        world.flood(3);
        world.run(Duration::from_secs(60));
        let [first, second, newcomer] = [0, 1, 3].map(|tenant| world.used(tenant));
        assert!(first.min(second) >= 0.9 * newcomer, "{first}, {second}, newcomer {newcomer}");
        world.tenants[3].floods = false;
        world.run(Duration::from_secs(60));
    }
}

/// Of three one needs little, and gets it when it needs it. The others have the rest, and are
/// neither ahead nor behind by that.
#[test]
fn who_needs_little_moves_nobody_away_from_progress() {
    let mut specs = vec![seconds(1, ANY, 1); 4];
    specs[2].durations = vec![Duration::from_millis(300)];
    let mut world = World::new(2, specs);
    world.flood(0);
    world.flood(1);
    world.start();
    for _ in 0..5000 {
        world.push(2);
        world.start();
        world.run(Duration::from_millis(1200));
    }
    // They come to hold a slot each, and to want no more, when somebody comes.
    for tenant in [0, 1] {
        world.specs[tenant] = seconds(1, 1, 60);
        world.shares.set(&name(tenant), 1, 1);
        world.tenants[tenant].floods = false;
    }
    while (0..2).any(|tenant| world.tenants[tenant].waiting > 0) {
        world.step();
    }
    world.run(Duration::from_secs(1));
    for tenant in [3, 0, 1] {
        world.specs[tenant] = seconds(1, ANY, 1);
        world.shares.set(&name(tenant), 1, ANY);
        world.flood(tenant);
    }
    world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
    world.run(Duration::from_secs(300));
    for tenant in [0, 1, 3] {
        let used = world.used(tenant);
        assert!((used - 200.0).abs() < 20.0, "{tenant}: {used} of 200 seconds");
    }
}

/// Now and then one has a slot for long, and the others are behind. Who needs little all the
/// while has nothing to do with that, if it may save something up.
#[test]
fn who_needs_little_need_not_wait_for_those_that_are_behind() {
    let late = |credit| {
        let mut specs = vec![seconds(1, 1, 1); 4];
        specs[2].durations = [5, 1, 1, 1].map(Duration::from_secs).into();
        specs[3].durations = vec![Duration::from_millis(100)];
        let mut world = World::new(2, specs);
        world.shares = world.shares.with_credit(credit);
        (0..3).for_each(|tenant| world.flood(tenant));
        world.start();
        let mut late = 0;
        for _ in 0..200 {
            world.run(Duration::from_millis(1600));
            world.push(3);
            late += usize::from(!world.step().contains(&3));
            while world.tenants[3].waiting > 0 {
                world.step();
            }
        }
        late
    };
    assert_eq!(late(4 * AHEAD), 0);
    assert!(late(Duration::ZERO) > 10, "without it waits often");
}

/// One of more tenants than slots always has something running, but less than it is due.
#[test]
fn who_uses_less_than_it_is_due_saves_nothing_up() {
    for (slots, share, watermark) in [(4, 1, 1), (4, 10, 1), (2, 30, 1), (4, 5, 2)] {
        let mut specs = vec![seconds(share, watermark, 1)];
        specs.extend(vec![seconds(1, 1, 1); 10]);
        let mut world = World::flooded(slots, specs);
        world.run(Duration::from_secs(2000));
        // From now on it takes what it gets.
        world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
        world.specs[0].watermark = ANY;
        world.shares.set(&name(0), share, ANY);
        world.flood(0);
        world.run(Duration::from_secs(100));
        for tenant in 1..=10 {
            let got = world.used(tenant);
            let due = 100.0 * slots as f64 / f64::from(share + 10);
            let off = 2.0 * (world.specs[0].durations[0] + AHEAD).as_secs_f64();
            assert!(got >= 0.9 * due - off, "{got} of {due}: {slots} slots, share {share}");
        }
    }
}

/// One has both slots while another waits, and keeps one while nobody does.
#[test]
fn what_is_free_does_not_pay_for_what_was_not() {
    let both = Spec { durations: [10, 31].map(Duration::from_secs).into(), ..seconds(1, ANY, 0) };
    let mut world = World::new(2, vec![both, seconds(1, ANY, 1)]);
    world.push(0);
    world.push(0);
    world.start();
    world.push(1);
    world.run(Duration::from_secs(32));
    world.specs[0] = seconds(1, ANY, 1);
    world.tenants = vec![Tenant::default(); 2];
    world.flood(1);
    world.flood(0);
    world.start();
    world.run(Duration::from_secs(60));
    let more = world.used(1) - world.used(0);
    assert!((6.0..14.0).contains(&more), "{more} more than the other, of 10");
}

#[test]
fn whoever_came_first_goes_first_if_all_else_is_equal() {
    let mut world = World::new(1, vec![seconds(1, ANY, 1); 5]);
    for tenant in [3, 1, 4, 1, 3, 0] {
        world.push(tenant);
    }
    let mut order = world.start();
    while world.next_end().is_some() {
        order.extend(world.step());
    }
    assert_eq!(order, [3, 1, 4, 0, 1, 3]);
}

/// To be early is each newcomer's own, whatever its share.
#[test]
fn newcomers_go_in_the_order_in_which_they_come() {
    let mut specs = vec![seconds(1, ANY, 1); 10];
    specs[5].share = 100;
    let mut world = World::new(2, specs);
    world.flood(0);
    world.flood(1);
    world.start();
    world.run(Duration::from_secs(10));
    let front = world.shares.front(0);
    for newcomer in 2..10 {
        world.push(newcomer);
        assert_eq!(world.shares.lanes[&name(newcomer)].pass, front, "it comes at their pass");
    }
    let mut order = Vec::new();
    while order.len() < 8 {
        order.extend(world.step().into_iter().filter(|tenant| *tenant > 1));
    }
    // Who has a larger share is less early.
    assert_eq!(order, [2, 3, 4, 6, 7, 8, 9, 5]);
}

/// Were it not cheap, this would not end.
#[test]
fn a_hundred_thousand_waiting_tasks_of_a_thousand_tenants_are_no_trouble() {
    let specs = (0..1000).map(|tenant| seconds(1 + tenant % 7, 1 + tenant as usize % 3, 1));
    let mut world = World::new(64, specs.collect());
    for task in 0..100_000 {
        world.push(task % 1000);
    }
    world.start();
    while world.next_end().is_some() {
        world.step();
    }
    assert!(world.tenants.iter().all(|tenant| tenant.waiting == 0 && tenant.starts == 100));
}

#[test]
fn what_is_charged_counts_as_time_in_a_slot() {
    let (work, more) = (Duration::from_millis(10), Duration::from_millis(20));
    let (mut shares, mut now) = (Shares::new(1, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    let mut slots = [0u32; 2];
    for key in 0..6 {
        shares.push(now, &tenants[key % 2], key);
    }
    for key in 6..3006 {
        let of = shares.start_next(now).expect("both wait") % 2;
        slots[of] += 1;
        now += work;
        shares.ended(now, &tenants[of]);
        // One of them makes as much work again, and more, outside of its slots.
        if of == 0 {
            shares.charge(now, &tenants[0], more);
        }
        shares.push(now, &tenants[of], 2 * key + of);
    }
    // 30 ms each against 10 ms.
    let ratio = f64::from(slots[1]) / f64::from(slots[0]);
    assert!((2.9..3.1).contains(&ratio), "{slots:?}");
}

/// As long as nothing but its refund tells a tenant from another, it gets as much more.
#[test]
fn what_is_refunded_does_not_count_as_time_in_a_slot() {
    let mut world = World::flooded(1, vec![seconds(1, ANY, 1); 2]);
    world.run(Duration::from_secs(10));
    for _ in 0..100 {
        // It can't use the first half of each of its slots.
        let since = world.shares.clock(world.now);
        let of = usize::from(world.tenants[1].running > 0);
        world.run(Duration::from_millis(500));
        if of == 1 {
            world.shares.refund(world.now, &name(1), since);
        }
        world.step();
    }
    let (first, second) = (world.used(0), world.used(1));
    assert!((1.8..2.2).contains(&(second / first)), "{second} to {first}");
}

/// Many slots that could not be used while nobody wanted them.
#[test]
fn what_was_free_is_not_refunded() {
    let mut world = World::new(8, vec![seconds(1, ANY, 10), seconds(1, ANY, 1)]);
    let since = world.shares.clock(world.now);
    (0..8).for_each(|_| world.push(0));
    world.start();
    world.run(Duration::from_secs(5));
    (0..8).for_each(|_| world.shares.refund(world.now, &name(0), since));
    world.specs[0] = seconds(1, ANY, 1);
    world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
    world.flood(1);
    world.flood(0);
    world.run(Duration::from_secs(65));
    let ahead = world.used(0) - world.used(1);
    assert!(ahead < 50.0, "{ahead} ahead, of which 40 it had before the other came");
}

#[test]
fn what_is_charged_while_others_have_all_slots_counts() {
    let (work, more) = (Duration::from_millis(10), Duration::from_secs(3));
    let (mut shares, mut now) = (Shares::new(1, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    shares.take(now, &tenants[0]);
    now += work;
    shares.push(now, &tenants[1], 1);
    shares.ended(now, &tenants[0]);
    assert_eq!(shares.start_next(now), Some(1));
    // Nobody is ready, but who has the slot could not use it.
    now += more;
    shares.charge(now, &tenants[0], more);
    shares.push(now, &tenants[0], 0);
    shares.push(now, &tenants[1], 1);
    shares.ended(now, &tenants[1]);
    assert_eq!(shares.start_next(now), Some(1));
}

#[test]
fn what_is_charged_while_nobody_waits_is_free() {
    let work = Duration::from_micros(300);
    let (mut shares, mut now) = (Shares::new(2, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    // One always holds a slot, and never waits for another.
    shares.take(now, &tenants[0]);
    for _ in 0..100_000 {
        shares.take(now, &tenants[0]);
        now += work;
        shares.ended(now, &tenants[0]);
        shares.charge(now, &tenants[0], work);
    }
    // Then both want all that there is.
    for key in 0..100 {
        shares.push(now, &tenants[1 - key as usize % 2], 1_000_001 + key);
    }
    shares.ended(now, &tenants[0]);
    let mut slots = [0; 2];
    for _ in 0..10 {
        let both = [(); 2].map(|()| shares.start_next(now).expect("both wait") as usize % 2);
        now += AHEAD;
        for of in both {
            slots[of] += 1;
            shares.ended(now, &tenants[of]);
        }
    }
    assert!((9..=11).contains(&slots[0]), "{slots:?}");
}
