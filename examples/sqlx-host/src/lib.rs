//! A shop that keeps its orders with sqlx, in the database where the chat keeps its messages: an order and the first message
//! about it are there together, or not at all.

mod executor;

use chat_core::{
    Actor, Change, Chat, Committed, Error, History, Prepared, Role, Target, UserId, Write,
};
use chat_store_postgres::commit_in;
pub use executor::Tx;
use sqlx::postgres::PgPool;

/// The write that opens an order's conversation, with the customer in it and a first message.
///
/// # Errors
/// What [`Chat::prepare`] says.
pub async fn opening(chat: &Chat, order: i64, customer: UserId) -> Result<Prepared, Error> {
    let create = Change::Create {
        title: Some(format!("Order {order}")),
        data: None,
        managed: false,
        history: History::All,
        members: vec![(customer, Role::Member)],
    };
    let hello = Change::post(format!("Thank you! We got your order {order}."));
    let target = Target::Key(format!("order-{order}"));
    chat.prepare(Write::new(Actor::Host, target, vec![create, hello]))
        .await
}

/// Keeps an order and opens its conversation, together or not at all. The shop's own statements come first, the chat's
/// last, so that nobody waits for the shop.
///
/// # Errors
/// What sqlx or the chat says. Nothing is kept then.
pub async fn order(
    shop: &PgPool,
    chat: &Chat,
    order: i64,
    customer: UserId,
) -> Result<Committed, Box<dyn std::error::Error + Send + Sync>> {
    let opening = opening(chat, order, customer).await?;
    let mut tx = shop.begin().await?;
    sqlx::query("INSERT INTO orders(id) VALUES($1)")
        .bind(order)
        .execute(&mut *tx)
        .await?;
    let outcomes = commit_in(&mut Tx(&mut tx), vec![opening]).await?;
    let committed = outcomes.into_iter().next().ok_or("no outcome")??;
    tx.commit().await?;
    Ok(committed)
}

/// [`order`], and everybody who is connected learns of it at once. If this process dies in between, they learn of it by the
/// sweep.
///
/// # Errors
/// See [`order`].
pub async fn order_and_tell(
    shop: &PgPool,
    chat: &Chat,
    number: i64,
    customer: UserId,
) -> Result<Committed, Box<dyn std::error::Error + Send + Sync>> {
    let committed = order(shop, chat, number, customer).await?;
    chat.announce(&committed);
    Ok(committed)
}
