//! What the compiler says to a user's mistakes: one mistake per file, named after the mistake, with the answer beside it. What it must
//! accept stands in `pass/`, as modules of this test: there it is compiled once, with everything else.

#[path = "pass/alike.rs"]
mod alike;
#[path = "pass/names_of_the_user.rs"]
mod names_of_the_user;
#[path = "pass/transactions.rs"]
mod transactions;

#[test]
fn every_mistake_is_answered_at_its_token_with_the_fix() {
    trybuild::TestCases::new().compile_fail("fail/*/*.rs");
}
