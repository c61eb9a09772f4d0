//! The way there: from the name to a connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use url::Host;

use super::{
    super::{
        check::Running,
        finding::{Finding, milliseconds},
    },
    case::{Fact, Server},
    peer::PATIENCE,
};
use crate::{
    fault::Fault,
    fetch::{Resolve, SystemResolver},
};

/// How long an address may take to take a connection.
const KNOCK: Duration = Duration::from_secs(3);
/// Addresses that are tried.
const TRIED: usize = 8;

pub(super) fn name(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let resolved = match case.url.host().map(|host| host.to_owned()) {
            Some(Host::Ipv4(address)) => Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => Ok(vec![address.into()]),
            Some(Host::Domain(name)) => resolve(&name).await,
            None => Ok(Vec::new()),
        };
        match resolved {
            Ok(addresses) if !addresses.is_empty() => {
                let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                case.addresses = addresses;
                case.found(Fact::Address);
                vec![Finding::ok(&list.join(", "))]
            }
            Ok(_) => vec![Finding::of(Fault::NoAddress, "the answer is an empty list")],
            Err(error) => vec![Finding::of(Fault::NoAddress, &error.to_string())],
        }
    })
}

async fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let resolver = SystemResolver::default();
    let lookup = timeout(PATIENCE, resolver.resolve(name)).await;
    let mut addresses = Vec::new();
    for address in lookup.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))? {
        // The system lists some once for each kind of socket.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

pub(super) fn connection(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let port = case.url.port_or_known_default().unwrap_or_default();
        let (mut findings, mut refusals) = (Vec::new(), Vec::new());
        for address in case.addresses.clone().into_iter().take(TRIED) {
            let address = SocketAddr::new(address, port);
            let began = Instant::now();
            match knock(address).await {
                Ok(()) => {
                    let took = milliseconds(began.elapsed());
                    case.peer.address = Some(address);
                    case.found(Fact::Connection);
                    findings.push(Finding::ok(&format!("{address} in {took}")));
                    break;
                }
                Err(error) => refusals.push((address, error)),
            }
        }
        // Whoever refuses at once costs a client nothing, if another address is there.
        let is_told = |error: &io::Error| findings.is_empty() || error.kind() == io::ErrorKind::TimedOut;
        let told: Vec<_> = refusals.iter().filter(|(_, error)| is_told(error)).collect();
        let faults = told.iter().map(|(address, error)| {
            let fault = if findings.is_empty() { Fault::of_connection(error) } else { Fault::AddressSilent };
            Finding::of(fault, &format!("{address}: {error}"))
        });
        faults.collect::<Vec<_>>().into_iter().chain(findings).collect()
    })
}

async fn knock(address: SocketAddr) -> io::Result<()> {
    let knocking = timeout(KNOCK, TcpStream::connect(address)).await;
    knocking
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", KNOCK.as_secs()))))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpSocket};
    use url::Url;

    use super::*;
    use crate::fetch::Roots;

    fn server(url: &str, addresses: &[[u8; 4]]) -> Server {
        let mut case = Server::new(url, Url::parse(url).unwrap(), None, Roots::none());
        case.addresses = addresses.iter().map(|octets| Ipv4Addr::from(*octets).into()).collect();
        case
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_a_warning_where_another_one_does() {
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = live.local_addr().unwrap().port();
        // A queue that is full.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 2], port))).unwrap();
        let silent = socket.listen(0).unwrap();
        let _waiting = TcpStream::connect(silent.local_addr().unwrap()).await.unwrap();

        let mut case = server(&format!("http://two.example:{port}/mcp"), &[[127, 0, 0, 2], [127, 0, 0, 1]]);
        let findings = connection(&mut case).await;
        let codes: Vec<_> = findings.iter().map(|one| one.fault).collect();
        assert_eq!(codes, [Some(Fault::AddressSilent), None], "{findings:?}");
        assert_eq!(case.peer.address, Some(live.local_addr().unwrap()));
    }
}
