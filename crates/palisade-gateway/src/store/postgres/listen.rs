//! Hears when somebody changed something: PostgreSQL says so with the commit (`NOTIFY`).
//!
//! What is heard says only that there is something to read: the truth is in the tables. So it does no harm if it is heard
//! twice, and what was missed while the connection was away is read once when it is back. Whoever follows asks by itself
//! now and then too, for the time that nothing is heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use super::connect::{Driver, Target};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until it is told to stop.
pub(super) async fn listen(target: Arc<Target>, news: Arc<watch::Sender<()>>, stop: CancellationToken) {
    let listening = async {
        loop {
            if let Ok((client, driver)) = target.connect().await {
                let ask = async {
                    if client.batch_execute("LISTEN palisade").await.is_ok() {
                        news.send_replace(());
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = hear(driver, &news) => {}
                    () = ask => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}

/// Drives the connection, and tells what it says, until it is gone.
async fn hear(mut driver: Driver, news: &watch::Sender<()>) {
    loop {
        match std::future::poll_fn(|context| driver.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => news.send_replace(()),
            Some(Ok(_)) => (),
            Some(Err(_)) | None => return,
        }
    }
}
