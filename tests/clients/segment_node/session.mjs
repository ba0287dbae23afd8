import { setTimeout as pause } from "node:timers/promises";

import { Analytics } from "@segment/analytics-node";

const { INGEST, WRITE_KEY: writeKey, USER_ID: userId, ACCOUNT_ID: groupId, TRACKS, PAUSE_MS } = process.env;

const analytics = new Analytics({ writeKey, host: INGEST });
analytics.on("error", (error) => console.error("error", error.code, error.reason ?? ""));

analytics.identify({ userId, traits: { name: "Ann", plan: "pro" } });
analytics.group({ userId, groupId, traits: { name: "Acme", seats: 12 } });
for (let n = 1; n <= Number(TRACKS); n++) {
  analytics.track({ userId, event: "Report Exported", properties: { n } });
  if (Number(PAUSE_MS)) await pause(Number(PAUSE_MS));
}
for (let n = 1; n <= 6; n++) {
  analytics.page({ userId, category: "docs", name: `Page ${n}`, properties: { url: `https://app.example/${n}` } });
}
await analytics.closeAndFlush();
