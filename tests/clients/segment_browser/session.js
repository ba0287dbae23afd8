import { AnalyticsBrowser } from "@segment/analytics-next";

const { ingest, writeKey, user, account, tracks, pauseMs } = window.session;
const host = new URL(ingest).host;

const analytics = AnalyticsBrowser.load(
  { writeKey, cdnURL: ingest },
  { integrations: { "Segment.io": { apiHost: `${host}/v1`, protocol: "http" } } },
);

analytics.identify(user, { name: "Ann", plan: "pro" });
analytics.group(account, { name: "Acme", seats: 12 });
for (let n = 1; n <= tracks; n++) {
  analytics.track("Report Exported", { n });
  if (pauseMs) await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
for (let n = 1; n <= 6; n++) {
  history.pushState({}, "", `/${n}`);
  analytics.page("docs", `Page ${n}`);
}
