//! `ganger metrics`: the master's figures for Prometheus, printed once or served over HTTP on a
//! loopback port. A client like any other; the master itself speaks no HTTP.
//!
//! Format: OpenMetrics text 1.0, as `prometheus-client` writes it. Names follow Prometheus' naming
//! practice: base units, `_total` for what only grows.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use ganger_net::client::{CallError, Caller};
use ganger_proto::command::Status;
use ganger_proto::picture::Counts;
use ganger_proto::{Refusal, Reply, Request, TaskState};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

use super::error::{CliError, Result};
use super::place::Place;
use super::{Exit, out, reach, workers};

/// Flags of `ganger metrics`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ganger metrics > /var/lib/node_exporter/textfile/ganger.prom
  ganger metrics --listen 127.0.0.1:9433        then scrape http://127.0.0.1:9433/metrics

Whoever reaches the port reads the figures, so it is a loopback one; put a proxy that asks who they
are before it for others. A viewer's certificate is enough (`ganger invite --role viewer`).")]
pub(crate) struct Args {
    /// Serve them there until Ctrl-C, instead of printing them once
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// What the format calls itself.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 16;
/// Time for a request's head to come.
const HEAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Prints the figures, or serves them.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let source = Arc::new(Source { place: place.clone(), caller: Mutex::new(None) });
    let Some(listen) = args.listen else {
        let text = source.text().await?;
        let mut out = place.out();
        out.output(text.as_bytes())?;
        return out.flush();
    };
    if !listen.ip().is_loopback() {
        return Err(CliError::usage(format!(
            "{listen} is open to other machines, and metrics ask nobody who they are; listen on \
             127.0.0.1:{} and put a proxy before it",
            listen.port()
        )));
    }
    // A master that cannot be reached is told before anything listens.
    source.text().await?;
    serve(listen, source).await
}

async fn serve(listen: SocketAddr, source: Arc<Source>) -> Result<()> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        CliError::io(&format!("cannot listen on {listen}; choose another port"), &error)
    })?;
    let address = listener.local_addr()?;
    out::note(&format!("metrics at http://{address}/metrics; Ctrl-C ends"));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = room.clone().acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else { continue };
        let source = source.clone();
        // Ends with its connection, which the timeout bounds; the handle is of no use.
        drop(tokio::spawn(async move {
            let answer = service_fn(|request| {
                let source = source.clone();
                async move { Ok::<_, Infallible>(answer(&request, &source).await) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
            // A scraper that went away is no failure of ours.
            drop(server.serve_connection(TokioIo::new(stream), answer).await);
            drop(place);
        }));
    }
}

async fn answer<B>(request: &hyper::Request<B>, source: &Source) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match source.text().await {
            Ok(text) => (StatusCode::OK, CONTENT_TYPE, text),
            Err(error) => {
                (StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{}\n", error.sentence))
            }
        },
        (&Method::GET, _) => {
            (StatusCode::NOT_FOUND, "text/plain", "the figures are at /metrics\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is answered\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

/// Where the figures come from; dials again when the connection was lost.
struct Source {
    place: Place,
    caller: Mutex<Option<Caller>>,
}

impl Source {
    async fn text(&self) -> Result<String> {
        let mut kept = self.caller.lock().await;
        let caller = match kept.take() {
            Some(caller) => caller,
            None => reach::connect(&self.place).await?,
        };
        // On an error the caller is dropped, and the next scrape dials.
        let Reply::Status(mut status) = caller.call(Request::Status).await? else {
            return Err(reach::unexpected());
        };
        match workers::all(&caller).await {
            Ok(all) => status.workers = all,
            // Who may not list workers has those of the status page.
            Err(error) if error.exit == Exit::Refused => {}
            Err(error) => return Err(error),
        }
        let handlers = handlers(&caller, &status).await?;
        *kept = Some(caller);
        Ok(text_of(&status, &handlers))
    }
}

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// Workers whose handlers are asked for at one scrape; each is a request of its own.
const ASKED_MAX: usize = 256;

/// Counts the connected workers that offer each handler; of none for who may not see workers.
async fn handlers(caller: &Caller, status: &Status) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    let up = status.workers.iter().filter(|worker| worker.slots > 0);
    for worker in up.take(ASKED_MAX) {
        match caller.call(Request::Worker { name: worker.name.clone() }).await {
            Ok(Reply::Worker(detail)) => {
                for offer in &detail.handlers {
                    *counts.entry(offer.name.to_string()).or_default() += 1;
                }
            }
            Ok(_) => return Err(reach::unexpected()),
            Err(CallError::Refused(Refusal::Forbidden { .. })) => break,
            // It is gone by now.
            Err(CallError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(counts)
}

fn text_of(status: &Status, handlers: &BTreeMap<String, u64>) -> String {
    let mut registry = Registry::with_prefix("ganger");
    tasks(&mut registry, status);
    workers(&mut registry, status);
    let offered = Gauges::default();
    for (handler, workers) in handlers {
        let label = vec![("handler", handler.clone())];
        offered.get_or_create(&label).set(*workers as f64);
    }
    let help = "Connected workers that offer the handler, of the first 256";
    registry.register("handler_workers", help, offered);
    master(&mut registry, status);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes all that is written");
    text
}

fn tasks(registry: &mut Registry, status: &Status) {
    let all = Gauges::default();
    count(&all, &status.master.counts, &[]);
    registry.register("tasks", "Tasks by state", all);
    let by_queue = Gauges::default();
    let paused = Gauges::default();
    for queue in &status.queues {
        let label = [("queue", queue.name.to_string())];
        count(&by_queue, &queue.counts, &label);
        paused.get_or_create(&label.to_vec()).set(f64::from(u8::from(queue.paused)));
    }
    registry.register("queue_tasks", "Tasks by queue and state", by_queue);
    registry.register("queue_paused", "Whether the queue grants nothing", paused);
}

fn count(gauges: &Gauges, counts: &Counts, labels: &[(&'static str, String)]) {
    for state in TaskState::ALL {
        let mut labels = labels.to_vec();
        labels.push(("state", state.word().to_owned()));
        gauges.get_or_create(&labels).set(counts.of(state) as f64);
    }
}

fn workers(registry: &mut Registry, status: &Status) {
    let (slots, io_slots) = (Gauges::default(), Gauges::default());
    let (running, rtt) = (Gauges::default(), Gauges::default());
    let up = status.workers.iter().filter(|worker| worker.slots > 0);
    for worker in up {
        let label = vec![("worker", worker.name.to_string())];
        slots.get_or_create(&label).set(f64::from(worker.slots));
        io_slots.get_or_create(&label).set(f64::from(worker.io_slots));
        running.get_or_create(&label).set(f64::from(worker.running));
        rtt.get_or_create(&label).set(worker.rtt_us as f64 / 1_000_000.0);
    }
    registry.register("workers", "Connected workers", ConstGauge::new(i64::from(status.gang.up)));
    registry.register("worker_slots", "Tasks of the lane cpu that the worker runs at once", slots);
    let help = "Tasks of the lane io that the worker runs at once";
    registry.register("worker_io_slots", help, io_slots);
    registry.register("worker_running", "Tasks that the worker runs", running);
    let help = "The round trip to the worker";
    registry.register_with_unit("worker_round_trip", help, Unit::Seconds, rtt);
}

fn master(registry: &mut Registry, status: &Status) {
    let master = &status.master;
    let rate = f64::from(master.done_per_s);
    registry.register(
        "done_per_second",
        "Tasks ended well a second, over the last five seconds",
        ConstGauge::new(rate),
    );
    registry.register_with_unit(
        "oldest_wait",
        "How long the oldest queued task has waited",
        Unit::Seconds,
        ConstGauge::new(master.oldest_wait_ms as f64 / 1_000.0),
    );
    registry.register_with_unit(
        "start_time",
        "When the master started, since the Unix epoch",
        Unit::Seconds,
        ConstGauge::new(master.started.0 as f64 / 1_000.0),
    );
    registry.register(
        "store_commits",
        "Commits of the store since the master started",
        ConstCounter::new(master.commits),
    );
    registry.register(
        "store_in_trouble",
        "Whether the store takes nothing",
        ConstGauge::new(u64::from(!master.trouble.is_empty())),
    );
    let version: [(&str, String); 1] = [("version", escaped(&master.version))];
    let build = Gauges::default();
    build.get_or_create(&version.to_vec()).set(1.0);
    registry.register("build", "The master's release", build);
}

/// Returns a peer's text fit for a label's value: `prometheus-client` writes values as they are,
/// and names of ours hold nothing to escape.
fn escaped(text: &str) -> String {
    super::text::line(text).replace('\\', r"\\").replace('"', r#"\""#)
}

#[cfg(test)]
mod tests {
    use ganger_proto::Name;
    use ganger_proto::picture::{Gang, QueueRow};

    use super::*;
    use crate::engine::picture::blank_master;

    #[test]
    fn figures_have_names_units_and_labels() {
        let mut master = blank_master(Name::from_lossy("c"));
        master.counts.queued = 7;
        master.counts.blocked = 3;
        master.oldest_wait_ms = 1_500;
        master.version = "0\"\n1".to_owned();
        let queue =
            QueueRow { name: Name::from_lossy("mail"), paused: true, counts: master.counts };
        let status = Status {
            master,
            queues: vec![queue],
            gang: Gang::default(),
            workers: Vec::new(),
            batches: Vec::new(),
        };
        let handlers = BTreeMap::from([("resize".to_owned(), 2)]);
        let text = text_of(&status, &handlers);
        for line in [
            "# TYPE ganger_tasks gauge",
            "ganger_tasks{state=\"queued\"} 7.0",
            "ganger_queue_tasks{queue=\"mail\",state=\"queued\"} 7.0",
            "ganger_queue_paused{queue=\"mail\"} 1.0",
            "ganger_oldest_wait_seconds 1.5",
            "ganger_store_commits_total 0",
            "ganger_workers 0",
            "ganger_tasks{state=\"blocked\"} 3.0",
            "ganger_handler_workers{handler=\"resize\"} 2.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains(r#"{version="0\" 1"} 1"#), "labels are escaped: {text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
