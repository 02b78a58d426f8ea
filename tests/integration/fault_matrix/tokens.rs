//! Rows 1 to 4 for Tokenize, whose card data no record keeps: only its caller can send it again,
//! and nobody can look it up.

use super::lab::Lab;

async fn killed_at(point: &str) {
    let lab = Lab::start().await;
    let before = lab.zentra.ledger().tokens.len();
    let mut first = lab.sidecar().failpoint(&format!("{point}:kill")).start().await;
    let second = lab.sidecar().start().await;
    first.tokenize("token-1").await.unwrap_err().is_cut_off();
    first.ended().await;
    let told = second.tokenize("token-1").await.unwrap();
    let ledger = lab.zentra.ledger();
    assert_eq!(ledger.tokens.len(), before + 1, "{point}");
    assert_eq!(ledger.tokens[before].id, told);
    assert_eq!(second.tokenize("token-1").await, Ok(told));
}

#[tokio::test]
async fn a_card_whose_process_was_killed_before_it_left_is_saved_once() {
    killed_at("before_claim").await;
    killed_at("after_claim").await;
}

#[tokio::test]
async fn a_card_whose_process_was_killed_after_zentra_acted_is_saved_once() {
    killed_at("after_answer").await;
    killed_at("after_complete").await;
}
