//! The C consumer's scenarios under valgrind: no error and no leak.

mod common;

#[tokio::test]
async fn no_scenario_has_an_error_or_a_leak() {
    let suppressions = concat!(
        "--suppressions=",
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/c-consumer/valgrind.supp"
    );
    for scenario in common::SCENARIOS {
        println!("{scenario}");
        let valgrind = [
            "valgrind",
            "--quiet",
            "--error-exitcode=99",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect,possible",
            "--child-silent-after-fork=yes",
            suppressions,
        ];
        common::play(scenario, &valgrind).await;
    }
}
