//! What api-health tells of itself and of its verdicts: `api_health_*`.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::measured::{ALERT_BOUNDS_MS, PROBE_BOUNDS_MS};
use api_health_actors::stats::LATENESS_BOUNDS_MS;
use api_health_core::keep::ChannelOwed;
use api_health_core::view::{ApiView, Condition, Counts};
use api_health_core::{ApiId, Status, Timestamp, Verdict};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Own;
use super::blackbox::seconds;
use crate::model::Model;

const PROBE_DURATION: &str = "api_health_probe_duration_seconds";

/// Puts into the OpenMetrics text, behind each bucket of how long probes took, an API whose last probe took so long. The library has exemplars only
/// for histograms that it counts itself.
pub(super) fn with_exemplars(mut text: String, own: &Own) -> String {
    let marker = format!("{PROBE_DURATION}_bucket{{le=\"");
    let Some(from) = text.find(&marker) else { return text };
    let buckets = text[from..].lines().take_while(|line| line.starts_with(&marker));
    let (mut above, mut written, mut until) = (0.0, String::new(), from);
    for line in buckets {
        until += line.len() + 1;
        written.push_str(line);
        let bound =
            line[marker.len()..].split('"').next().and_then(|bound| bound.parse().ok()).unwrap_or(f64::INFINITY);
        let took = |view: &&Arc<ApiView>| {
            view.figures.map(|figures| figures.took().as_secs_f64()).filter(|took| above < *took && *took <= bound)
        };
        let newest = own
            .views()
            .filter(|view| took(view).is_some())
            .max_by_key(|view| view.last_probe.as_ref().map(|probe| probe.at));
        if let Some((view, took)) = newest.and_then(|view| Some((view, took(&view)?))) {
            let at = view.last_probe.as_ref().map_or(view.at, |probe| probe.at);
            // Nothing in an id needs to be escaped.
            let _ = write!(written, " # {{api_id=\"{}\"}} {took} {:.3}", view.api_id, seconds(at));
        }
        written.push('\n');
        above = bound;
    }
    text.replace_range(from..until.min(text.len()), &written);
    text
}

/// Writes one metric after the other.
struct Writer<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Writer<'_, '_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut all = all.into_iter().peekable();
        if all.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in all {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// `name` is without `_total`. OpenMetrics wants the family to be called so, and the text form of Prometheus the series.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut all = all.into_iter().peekable();
        if all.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in all {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// `counts` are of each bound, and what is longer than all is in `total` alone.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds_ms: &[u64],
        counts: &[u64],
        total: u64,
        sum: Duration,
    ) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        let bounds = bounds_ms.iter().map(|ms| *ms as f64 / 1_000.0);
        let longer = total.saturating_sub(counts.iter().sum());
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).chain([(f64::INFINITY, longer)]).collect();
        self.0.encode_descriptor(name, help, None, MetricType::Histogram)?.encode_histogram::<NoLabelSet>(
            sum.as_secs_f64(),
            total,
            &buckets,
            None,
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 53 bits")]
const fn count(count: usize) -> f64 {
    count as f64
}

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, model: &Model, own: &Own) -> fmt::Result {
    let (site, snapshot) = (&model.site, &own.snapshot);
    let (probing, measured) = (site.stats.counts(), &site.stats.measured);
    let about = &site.about;
    let mut writer = Writer(encoder);
    let build = [("version", &*about.version), ("environment", &*about.environment), ("worker", &*about.instance)];
    writer.gauges("api_health_build_info", "Which program this is", [(build, 1.0)])?;
    let counts = Counts::of(own.views().map(AsRef::as_ref), own.now);
    let apis = Condition::ALL.map(|it| ([("status", it.as_str())], count(counts.get(it))));
    writer.gauges("api_health_apis", "APIs in each condition", apis)?;
    let verdicts = Verdict::ALL.map(|verdict| ([("verdict", verdict.as_str())], measured.verdicts(verdict)));
    writer.counters("api_health_probes", "Probes by what came of them", verdicts)?;
    let help = "Ticks at which nothing was probed, since a probe still ran or the process did not";
    writer.counter("api_health_ticks_missed", help, probing.missed_ticks)?;
    let (within, total) = (&probing.lateness[..LATENESS_BOUNDS_MS.len()], probing.lateness.iter().sum());
    let help = "How late probes began after they were due";
    writer.histogram(
        "api_health_probe_lateness_seconds",
        help,
        &LATENESS_BOUNDS_MS,
        within,
        total,
        measured.lateness(),
    )?;
    let (counts, total, sum) = measured.probes.read();
    writer.histogram(PROBE_DURATION, "How long probes took", &PROBE_BOUNDS_MS, &counts, total, sum)?;
    let channel = |owed: &ChannelOwed| [("channel", owed.channel.clone())];
    let owed = snapshot.owed.iter().map(|owed| (channel(owed), count(owed.alerts)));
    writer.gauges("api_health_alerts_owed", "Alerts that a channel does not have yet", owed)?;
    let age = |owed: &ChannelOwed| owed.oldest.map_or(0.0, |at| own.now.since(at).as_secs_f64());
    let oldest = snapshot.owed.iter().map(|owed| (channel(owed), age(owed)));
    let help = "For how long the oldest of them is owed; 0: there is none";
    writer.gauges("api_health_alert_oldest_owed_seconds", help, oldest)?;
    let attempts = measured.attempts();
    let attempts = attempts.iter().flat_map(|(channel, attempts)| {
        let results =
            [("delivered", attempts.delivered), ("failed", attempts.failed), ("cancelled", attempts.cancelled)];
        results.map(|(result, times)| ([("channel", &**channel), ("result", result)], times))
    });
    writer.counters("api_health_alert_attempts", "Attempts to deliver through a channel", attempts)?;
    let (counts, total, sum) = measured.alerts.read();
    let help = "From the confirmed change until a channel had its alert";
    writer.histogram("api_health_alert_delay_seconds", help, &ALERT_BOUNDS_MS, &counts, total, sum)?;
    let is_out = snapshot.own.iter().any(|(id, _)| *id == ApiId::monitor_store());
    writer.gauge("api_health_store_available", "Whether the store takes writes", if is_out { 0.0 } else { 1.0 })?;
    let (written, failed) = measured.writes();
    let writes = [("written", written), ("failed", failed)].map(|(result, times)| ([("result", result)], times));
    writer.counters("api_health_store_writes", "Writes of records to the store", writes)?;
    writer.counter("api_health_prober_restarts", "Probers that died and were started again", probing.restarts)?;
    if let Some(is_good) = measured.last_reload() {
        let help = "Whether the configs could be read the last time, with no row refused";
        let value = if is_good { 1.0 } else { 0.0 };
        writer.gauge("api_health_config_last_reload_successful", help, value)?;
    }
    let requests = model.requests.all();
    let requests =
        requests.iter().map(|((route, code), times)| ([("route", route.clone()), ("code", code.to_string())], *times));
    writer.counters("api_health_web_requests", "Requests to the web side", requests)?;
    let help = "When the part that watches was heard of last";
    writer.gauge("api_health_heartbeat_timestamp_seconds", help, seconds(snapshot.at))
}

/// The verdict on each of these.
pub(super) fn encode_apis(encoder: &mut DescriptorEncoder<'_>, views: &[&ApiView], now: Timestamp) -> fmt::Result {
    let mut writer = Writer(encoder);
    let labels = |view: &'_ ApiView| [("api_id", view.api_id.to_string())];
    let is_watched = |view: &&&ApiView| !matches!(view.condition(now), Condition::Off | Condition::Unwatched);
    let up = views.iter().filter(is_watched).filter_map(|view| {
        let up = match view.status {
            Status::Up => 1.0,
            Status::Down => 0.0,
            Status::Unknown => return None,
        };
        Some((labels(view), up))
    });
    let help = "Whether its confirmed status is up; absent while it is not known or not watched";
    writer.gauges("api_health_api_up", help, up)?;
    let since = views.iter().filter_map(|view| Some((labels(view), seconds(view.since?))));
    writer.gauges("api_health_api_since_timestamp_seconds", "When its confirmed status began", since)
}
