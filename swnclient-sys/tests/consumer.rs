//! The C consumer's scenarios with a witness cluster in a box: use as a daemon
//! does it, and every misuse that must be safe.

mod common;

macro_rules! scenarios {
    ($($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                common::play(&stringify!($test).replace('_', "-"), &[]).await;
            }
        )*

        #[test]
        fn every_scenario_is_played() {
            let played = [$(stringify!($test)),*].map(|name| name.replace('_', "-"));
            assert_eq!(played, common::SCENARIOS);
        }
    };
}

scenarios! {
    daemon
    free_pending_register
    free_pending_wait
    free_pending_unregister
    cancel_register
    cancel_wait
    time_out
    wait_twice
    unknown
    unregister_while_waiting
    unregister_while_registering
    register_twice
    names_without_case
    recv_misuse
    free_in_callback
    nested_loop
    loop_wait
    queue
    null_arguments
    credentials
    nobody_there
    free_state
    free_loop
    free_everything
    two_loops
    two_states
    fork_before
    fork_after
}
