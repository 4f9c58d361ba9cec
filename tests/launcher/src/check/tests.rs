use super::*;

/// A machine on which everything is there.
fn fit() -> Facts {
    let place = |holds, free| Place {
        holds,
        path: PathBuf::from(format!("/home/{holds}")),
        disk: "/home".to_owned(),
        free,
    };
    Facts {
        root: true,
        apt: true,
        missing_packages: Vec::new(),
        go: Some(Go { minor: 26, fetches_newer: false }),
        taken: Vec::new(),
        own_tools: true,
        contexts: Some(vec!["kind-dev".to_owned()]),
        places: vec![place("cache", 50_000), place("target", 50_000), place("go", 50_000)],
        memory: Some(8000),
        built: Built::default(),
        up: false,
    }
}

fn own() -> Choice {
    Choice { context: None, port: 8400, keycloak_port: 8401 }
}

fn theirs() -> Choice {
    Choice { context: Some("kind-dev".to_owned()), ..own() }
}

fn warm() -> Built {
    Built { harness: true, programs: true, components: true }
}

#[test]
fn fit_machine_has_no_problems() {
    assert_eq!(problems(&own(), &fit()), [""; 0]);
    assert_eq!(problems(&theirs(), &fit()), [""; 0]);
}

#[test]
fn all_problems_are_told_at_once_each_with_a_step() {
    let facts = Facts {
        root: false,
        apt: false,
        missing_packages: vec!["containerd", "runc"],
        go: None,
        taken: vec![("DEMO_PORT", 8400, "in use".to_owned())],
        places: fit().places.into_iter().map(|place| Place { free: 10, ..place }).collect(),
        memory: Some(100),
        ..fit()
    };
    let told = problems(&own(), &facts);
    let steps = [
        "sudo -E",
        "containerd runc",
        "bin folder",
        "DEMO_PORT=<port>",
        "make room",
        "end what uses it",
    ];
    assert_eq!(told.len(), steps.len(), "{told:#?}");
    for (problem, step) in told.iter().zip(steps) {
        assert!(problem.contains(step), "{problem}");
    }
    assert_eq!(refusal(&told).lines().count(), 1 + told.len());
}

#[test]
fn cluster_of_their_own_needs_neither_root_nor_packages_nor_go() {
    let facts =
        Facts { root: false, apt: false, missing_packages: vec!["runc"], go: None, ..fit() };
    assert_eq!(problems(&theirs(), &facts), [""; 0]);
    let without_tools = Facts { own_tools: false, ..facts };
    let told = problems(&theirs(), &without_tools);
    assert!(told.len() == 1 && told[0].contains("Go 1.26"), "kubectl has to be built: {told:?}");
}

#[test]
fn context_that_does_not_exist_is_told_with_those_that_do() {
    let choice = Choice { context: Some("nope".to_owned()), ..own() };
    let told = problems(&choice, &fit());
    assert!(told[0].contains("DEMO_CONTEXT=nope") && told[0].contains("kind-dev"), "{told:?}");
    let nobody_knows = Facts { contexts: None, ..fit() };
    assert_eq!(problems(&choice, &nobody_knows), [""; 0]);
}

#[test]
fn go_is_asked_for_only_where_it_will_build_and_may_fetch_its_successor() {
    let with = |go, built| problems(&own(), &Facts { go, built, ..fit() });
    let go = |minor, fetches_newer| Some(Go { minor, fetches_newer });
    assert_eq!(with(None, warm()), [""; 0]);
    assert_eq!(with(None, Built::default()).len(), 1);
    assert_eq!(with(go(24, true), Built::default()), [""; 0]);
    assert_eq!(with(go(20, true), Built::default()).len(), 1);
    let old = with(go(24, false), Built::default());
    assert!(old[0].contains("there is Go 1.24"), "{old:?}");
}

#[test]
fn folders_on_one_disk_are_added_up_and_folders_on_two_are_not() {
    let needed: u64 =
        ["cache", "target", "go"].iter().map(|holds| grows(holds, &own(), &fit())).sum();
    let with = |free| {
        let places = fit().places.into_iter().map(|place| Place { free, ..place });
        problems(&own(), &Facts { places: places.collect(), ..fit() })
    };
    assert_eq!(with(needed), [""; 0]);
    let told = with(needed - 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("/home/cache, /home/target, /home/go"), "{told:?}");
    let largest = grows("go", &own(), &fit());
    let apart = fit().places.into_iter().map(|place| Place {
        disk: place.holds.to_owned(),
        free: largest,
        ..place
    });
    assert_eq!(problems(&own(), &Facts { places: apart.collect(), ..fit() }), [""; 0]);
}

#[test]
fn demo_that_is_up_asks_for_no_room_of_its_own_again() {
    let tight = Facts { memory: Some(900), built: warm(), ..fit() };
    let told = problems(&own(), &tight);
    assert!(told.len() == 1 && told[0].contains("0.9 GB of memory"), "{told:?}");
    assert_eq!(problems(&own(), &Facts { up: true, ..tight }), [""; 0]);
}

#[test]
fn expectation_says_what_is_new_and_only_that() {
    let cold = expectation(&own(), &Facts { missing_packages: vec!["runc"], ..fit() });
    for part in [
        "10 to 45 minutes",
        "the harness",
        "Kubernetes",
        "GB of disk",
        "Debian packages: runc",
        "make clean-cache",
    ] {
        assert!(cold.contains(part), "{part}: {cold}");
    }
    let again = expectation(&own(), &Facts { built: warm(), ..fit() });
    assert!(again.contains("about a minute") && !again.contains("It builds"), "{again}");
    let kind = expectation(&theirs(), &Facts { missing_packages: vec!["runc"], ..fit() });
    assert!(
        kind.contains("3 to 15 minutes")
            && !kind.contains("Debian")
            && !kind.contains("Kubernetes"),
        "{kind}"
    );
}
