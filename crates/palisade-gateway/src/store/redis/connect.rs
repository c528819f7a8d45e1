//! How Redis is reached: one server, the one that Sentinels name, or a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline,
    RedisConnectionInfo, RedisFuture, TlsCertificates, Value,
};

use super::error::{Error, UNREACHABLE};
use crate::config::{Redis, RedisForm, Secret};

/// How long what was sent may stay without any answer of the other machine.
const LOST: Duration = Duration::from_secs(5);
/// Commands of calls that may wait in one connection; more wait before it, for as long as anybody waits.
const WAITING: usize = 1024;

/// A connection, or those of a cluster. Copies are the same.
#[derive(Clone)]
pub(super) enum Wire {
    /// To one server.
    One(MultiplexedConnection),
    /// To all nodes of a cluster.
    Many(ClusterConnection),
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(wire) => wire.req_packed_command(command),
            Self::Many(wire) => wire.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(wire) => wire.req_packed_commands(pipeline, offset, count),
            Self::Many(wire) => wire.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(wire) => wire.get_db(),
            Self::Many(wire) => wire.get_db(),
        }
    }
}

/// A new connection.
pub(super) async fn open(place: &Redis) -> Result<Wire, Error> {
    let certificates = certificates(place)?;
    match &place.form {
        RedisForm::Single => first(place, &certificates).await.map(Wire::One),
        RedisForm::Sentinel { master, password } => {
            let node = asked(place, master, password.as_ref(), &certificates).await?;
            one(place, &node, login(place), &certificates).await.map(Wire::One)
        }
        RedisForm::Cluster => cluster(place, certificates).await.map(Wire::Many),
    }
}

async fn first(place: &Redis, certificates: &TlsCertificates) -> Result<MultiplexedConnection, Error> {
    let node = place.nodes.first().ok_or_else(|| Error::setting("has no address", "check redis.url"))?;
    one(place, node, login(place), certificates).await
}

/// The one that takes writes, as the first Sentinel says that answers.
async fn asked(
    place: &Redis,
    master: &str,
    password: Option<&Secret>,
    certificates: &TlsCertificates,
) -> Result<(String, u16), Error> {
    let mut failed = Error::down("has no Sentinel that answers", UNREACHABLE);
    for node in &place.nodes {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = password {
            login = login.set_password(password.reveal());
        }
        let mut sentinel = match one(place, node, login, certificates).await {
            Ok(sentinel) => sentinel,
            Err(error) => {
                failed = error;
                continue;
            }
        };
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(master);
        match ask.query_async::<Option<(String, u16)>>(&mut sentinel).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => failed = Error::setting("has Sentinels that do not know this master", "check redis.master"),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

async fn one(
    place: &Redis,
    (host, port): &(String, u16),
    login: RedisConnectionInfo,
    certificates: &TlsCertificates,
) -> Result<MultiplexedConnection, Error> {
    let info = info(place, host, *port)?.set_redis_settings(login);
    let client = if place.tls { Client::build_with_tls(info, certificates.clone())? } else { Client::open(info)? };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(place.connect))
        .set_response_timeout(Some(place.command))
        .set_pipeline_buffer_size(WAITING);
    let opened = client.get_multiplexed_async_connection_with_config(&config);
    // A name that is looked up for ever is no connection either.
    Ok(tokio::time::timeout(place.connect * 2, opened).await.map_err(|_| Error::late())??)
}

async fn cluster(place: &Redis, certificates: TlsCertificates) -> Result<ClusterConnection, Error> {
    let nodes = place.nodes.iter().map(|(host, port)| Ok(info(place, host, *port)?.set_redis_settings(login(place))));
    let nodes = nodes.collect::<Result<Vec<_>, Error>>()?;
    let mut builder = ClusterClientBuilder::new(nodes)
        .connection_timeout(place.connect)
        .response_timeout(place.command)
        .tcp_settings(settings())
        .retries(2);
    if place.tls {
        builder = builder.certs(certificates);
    }
    let client = builder.build()?;
    let opened = client.get_async_connection();
    Ok(tokio::time::timeout(place.connect * 4, opened).await.map_err(|_| Error::late())??)
}

fn login(place: &Redis) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(place.database.into());
    if let Some(user) = &place.user {
        login = login.set_username(user);
    }
    if let Some(password) = &place.password {
        login = login.set_password(password.reveal());
    }
    login
}

fn info(place: &Redis, host: &str, port: u16) -> Result<ConnectionInfo, Error> {
    let host = host.to_owned();
    let address = if place.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    Ok(address.into_connection_info()?.set_tcp_settings(settings()))
}

/// The system gives a connection up whose other end is gone without a word.
fn settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true).set_user_timeout(LOST)
}

/// Whom to believe: with a file, those in it and nobody else.
fn certificates(place: &Redis) -> Result<TlsCertificates, Error> {
    let unreadable = |error: std::io::Error| {
        Error::setting(format!("has no certificates to trust ({error})"), "check redis.ca_file")
    };
    let root_cert = place.ca_file.as_ref().map(std::fs::read).transpose().map_err(unreadable)?;
    Ok(TlsCertificates { client_tls: None, root_cert })
}
