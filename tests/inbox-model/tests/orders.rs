//! Each model in every order of its threads.

#[test]
fn a_loop_that_looks_only_when_notified_gets_all_that_is_posted() {
    inbox_model::posting();
}

#[test]
fn a_loop_that_comes_costs_another_one_no_event() {
    inbox_model::coming();
}

#[test]
fn the_end_is_seen_once_and_after_all_that_was_posted() {
    inbox_model::ending();
}
