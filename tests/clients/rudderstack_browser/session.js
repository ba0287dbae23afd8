import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";

const { ingest, writeKey, user, account, tracks, pauseMs } = window.session;

const analytics = new RudderAnalytics();
analytics.load(writeKey, ingest, { configUrl: ingest });

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
