//! Which replica writes: the holder of a Lease (coordination.k8s.io).
//!
//! A replica that cannot renew in time must not write any more, so the process ends: nothing in flight outlives the claim.
//! The holder's own clock is never compared with another's: a claim is taken over only after it has not changed for its
//! whole duration as seen from here.

mod leadership;

pub(crate) use leadership::Leadership;

use crate::clock::Clock;
use crate::jitter::jittered;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use leadership::{Renewed, Teller, leadership};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time for one request.
pub(crate) const REQUEST: Duration = Duration::from_secs(4);

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// How long a claim lasts without renewal.
    pub(crate) duration: Duration,
    /// How long the holder tries to renew before it gives up; well below the duration, so that it has ended when another
    /// starts.
    pub(crate) deadline: Duration,
    /// Time between attempts.
    pub(crate) retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let [duration, deadline, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { duration, deadline, retry }
    }
}

impl Times {
    /// The same times if they keep two replicas apart.
    ///
    /// # Errors
    /// The flag that has to change, and how.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let Self { duration, deadline, retry } = self;
        // The Lease has whole seconds, and few digits.
        if duration.subsec_nanos() != 0 || duration > Duration::from_hours(1) {
            return Err(format!(
                "--lease-duration {duration:?}: write whole seconds, at most an hour"
            ));
        }
        // What is sent in the last moment has to be through before another replica starts.
        if duration < deadline.saturating_add(REQUEST) {
            return Err(format!(
                "--lease-duration {duration:?} has to be at least {REQUEST:?} more than --lease-renew-deadline ({deadline:?}), or two replicas could write at once"
            ));
        }
        if retry < Duration::from_secs(1) || deadline < retry.saturating_mul(2) {
            return Err(format!(
                "--lease-retry-period {retry:?}: write at least 1s and at most half of --lease-renew-deadline ({deadline:?}), or one failed attempt could end the process"
            ));
        }
        Ok(self)
    }
}

/// Why the lease task ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Another replica has it.
    #[error("the lease was taken over by {0}")]
    Taken(String),
    /// It could not be renewed.
    #[error("the lease could not be renewed for {seconds} s: {error}")]
    NotRenewed {
        /// How long it was tried.
        seconds: u64,
        /// The last attempt.
        error: String,
    },
}

/// The lease and who we are.
pub(crate) struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    times: Times,
    clock: Clock,
}

/// What another replica's claim looked like, and since when.
struct Seen {
    version: String,
    since: Instant,
}

impl Elector {
    /// `client` must not retry by itself: a renewal that is late is worth nothing.
    pub(crate) fn new(
        client: Client,
        (namespace, name): (&str, &str),
        identity: &str,
        times: Times,
        clock: Clock,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            times,
            clock,
        }
    }

    /// The state to hand out, and the task that keeps it. The task ends when the lease is lost; when `stop` ends it gives
    /// the lease back, so that another replica need not wait.
    pub(crate) fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (Leadership, impl Future<Output = Result<(), Lost>> + Send + 'static) {
        let (teller, leadership) = leadership(self.times.deadline, self.clock);
        let task = async move {
            tokio::pin!(stop);
            let result = tokio::select! {
                result = self.hold(&teller) => result,
                () = &mut stop => Ok(()),
            };
            if teller.has_led() && result.is_ok() {
                self.release().await;
            }
            result
        };
        (leadership, task)
    }

    async fn hold(&self, teller: &Teller) -> Result<(), Lost> {
        let mut seen = None;
        let mut renewed: Option<Renewed> = None;
        let deadline = self.times.deadline;
        let mut number = 0_u64;
        loop {
            // Counted from before the request: the server may have written it as early as that.
            let start = teller.now();
            // No longer than the claim may go without renewal: the end of the process must not wait for a last attempt.
            let left = renewed.map_or(REQUEST, |last| deadline.saturating_sub(last.at.elapsed()));
            let attempt = timeout(left.min(REQUEST), self.attempt(&mut seen))
                .await
                .unwrap_or_else(|_| Err("no answer".to_owned()));
            match (attempt, renewed) {
                (Ok(None), _) => {
                    renewed = Some(start);
                    if teller.tell(start) {
                        tracing::info!(lease = self.name, "this replica writes from now on");
                    }
                }
                (Ok(Some(other)), Some(_)) => return Err(Lost::Taken(other)),
                (Ok(Some(_)), None) => {}
                (Err(error), Some(last)) if last.at.elapsed() >= deadline => {
                    return Err(Lost::NotRenewed { seconds: last.at.elapsed().as_secs(), error });
                }
                (Err(error), _) => tracing::warn!(
                    lease = self.name,
                    error,
                    "the lease could not be read or written"
                ),
            }
            // Replicas that began together do not ask together for ever.
            let pause = jittered(self.times.retry, (&self.identity, number));
            let left = renewed.map_or(pause, |last| deadline.saturating_sub(last.at.elapsed()));
            sleep(pause.min(left)).await;
            number = number.wrapping_add(1);
        }
    }

    /// One attempt: nothing if we hold the lease now, else who does.
    async fn attempt(&self, seen: &mut Option<Seen>) -> Result<Option<String>, String> {
        let Some(mut lease) =
            self.api.get_opt(&self.name).await.map_err(|error| error.to_string())?
        else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.claim(None)),
            };
            self.api
                .create(&PostParams::default(), &lease)
                .await
                .map_err(|error| error.to_string())?;
            return Ok(None);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        if let Some(other) = holder.filter(|holder| *holder != self.identity) {
            let version = lease.metadata.resource_version.clone().unwrap_or_default();
            // A holder with other settings counts on its own.
            let claimed = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
            let lasts = self.times.duration.max(Duration::from_secs(claimed));
            let expired = match seen {
                Some(before) if before.version == version => before.since.elapsed() >= lasts,
                _ => {
                    *seen = Some(Seen { version, since: Instant::now() });
                    false
                }
            };
            if !expired {
                return Ok(Some(other));
            }
        }
        lease.spec = Some(self.claim(Some(&spec)));
        // With the version that was read: of two that try at once, one fails.
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
            .map_err(|error| error.to_string())?;
        Ok(None)
    }

    fn claim(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        let ours = before.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.times.duration.as_secs()).ok(),
            acquire_time: ours.map_or_else(|| Some(now.clone()), |spec| spec.acquire_time.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(ours.is_none() && before.is_some())),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) {
        let give_back = async {
            let mut lease = self.api.get(&self.name).await?;
            if let Some(spec) = lease
                .spec
                .as_mut()
                .filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
            {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(REQUEST, give_back).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "gave the lease back"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, %error, "could not give the lease back");
            }
            Err(_) => tracing::warn!(lease = self.name, "could not give the lease back in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{Method, Request, Response};
    use http_body_util::Full;
    use kube::client::Body;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Arc, Mutex};

    /// An API server that takes the first claim, fails every request after it a while later, and at last does not answer.
    fn failing(start: Instant) -> Client {
        let answer = |status: u16, text: &'static str| {
            Response::builder().status(status).body(Full::new(Bytes::from(text))).unwrap()
        };
        let service = tower::service_fn(move |request: Request<Body>| async move {
            let after = start.elapsed();
            if after.is_zero() {
                return Ok::<_, Infallible>(if request.method() == Method::GET {
                    answer(
                        404,
                        r#"{"status":"Failure","message":"","reason":"NotFound","code":404}"#,
                    )
                } else {
                    answer(
                        201,
                        r#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{}}"#,
                    )
                });
            }
            if after >= Times::default().deadline {
                std::future::pending::<()>().await;
            }
            sleep(Duration::from_millis(1330)).await;
            Ok(answer(
                500,
                r#"{"status":"Failure","message":"","reason":"InternalError","code":500}"#,
            ))
        });
        Client::new(service, "shop")
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_not_renewed_ends_before_another_can_have_it() {
        let start = Instant::now();
        let elector =
            Elector::new(failing(start), ("shop", "lease"), "a", Times::default(), Clock::System);
        let (leader, run) = elector.run(std::future::pending());
        let lost = run.await.unwrap_err();
        assert!(matches!(lost, Lost::NotRenewed { .. }), "{lost}");
        assert!(!leader.is_held(), "the claim counts for longer than it was held");
        let wrote = start.elapsed();
        assert!(
            wrote >= Times::default().deadline && wrote < Times::default().duration,
            "{wrote:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_between_attempts_does_not_keep_a_claim_beyond_its_end() {
        let (duration, deadline, retry) = (14, 10, 5);
        let [duration, deadline, retry] = [duration, deadline, retry].map(Duration::from_secs);
        let times = Times { duration, deadline, retry }.checked().unwrap();
        let start = Instant::now();
        let elector = Elector::new(failing(start), ("shop", "lease"), "a", times, Clock::System);
        let lost = elector.run(std::future::pending()).1.await.unwrap_err();
        assert!(matches!(lost, Lost::NotRenewed { .. }), "{lost}");
        assert!(start.elapsed() < deadline + Duration::from_millis(10), "{:?}", start.elapsed());
    }

    /// A node that sleeps for a minute: the monotonic clock stands still, the other goes on.
    #[tokio::test(start_paused = true)]
    async fn who_slept_through_the_end_of_its_claim_does_nothing_before_it_is_renewed() {
        let slept: &'static AtomicI64 = Box::leak(Box::default());
        let clock = Clock::Ahead(slept);
        let elector = Elector::new(held(15), ("shop", "lease"), "b", Times::default(), clock);
        let (leader, run) = elector.run(std::future::pending());
        tokio::spawn(run);
        leader.acquired().await;
        assert!(leader.is_held());
        slept.store(60, Ordering::SeqCst);
        assert!(!leader.is_held());
        let start = Instant::now();
        leader.acquired().await;
        assert!(leader.is_held());
        let (waited, retry) = (start.elapsed(), Times::default().retry);
        assert!(waited > Duration::ZERO && waited <= retry * 2, "{waited:?}");
        // One that is set back is no reason to stop.
        slept.store(-3600, Ordering::SeqCst);
        assert!(leader.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_that_begin_together_do_not_ask_together() {
        let asked = |identity: &'static str| {
            let times = Arc::new(Mutex::new(Vec::new()));
            let (own, start) = (Arc::clone(&times), Instant::now());
            let service = tower::service_fn(move |_: Request<Body>| {
                own.lock().unwrap().push(start.elapsed());
                let answer = Response::builder().status(500).body(Full::<Bytes>::default());
                std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
            });
            let client = Client::new(service, "shop");
            let elector =
                Elector::new(client, ("shop", "lease"), identity, Times::default(), Clock::System);
            tokio::spawn(elector.run(std::future::pending()).1);
            times
        };
        let (one, two) = (asked("a-1"), asked("a-2"));
        sleep(Duration::from_mins(1)).await;
        let (one, two) = (one.lock().unwrap().clone(), two.lock().unwrap().clone());
        assert!(one.len() > 20 && two.len() > 20);
        let together = one[1..].iter().filter(|time| two.contains(time)).count();
        assert!(together <= 2, "{together} of {}", one.len());
    }

    /// An API server with the Lease of a replica that is gone, and takes whatever is written.
    fn held(seconds: i32) -> Client {
        let lease = serde_json::json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "lease", "resourceVersion": "1"},
            "spec": {"holderIdentity": "b", "leaseDurationSeconds": seconds},
        });
        let text = lease.to_string();
        let service = tower::service_fn(move |_: Request<Body>| {
            let answer = Response::new(Full::new(Bytes::from(text.clone())));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        Client::new(service, "shop")
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_with_longer_times_is_left_alone_for_as_long_as_it_said() {
        for (said, least) in [(60, 60), (15, 15), (1, 15)] {
            let start = Instant::now();
            let elector =
                Elector::new(held(said), ("shop", "lease"), "a", Times::default(), Clock::System);
            let (leader, run) = elector.run(std::future::pending());
            tokio::spawn(run);
            leader.acquired().await;
            let waited = start.elapsed();
            assert!(waited >= Duration::from_secs(least), "{said}: {waited:?}");
            assert!(waited <= Duration::from_secs(least + 4), "{said}: {waited:?}");
        }
    }
}
