const { setTimeout: pause } = require("node:timers/promises");

const Analytics = require("@rudderstack/rudder-sdk-node");

const { INGEST, WRITE_KEY, USER_ID: userId, ACCOUNT_ID: groupId, TRACKS, PAUSE_MS } = process.env;

async function session() {
  const client = new Analytics(WRITE_KEY, { dataPlaneUrl: INGEST });

  client.identify({ userId, traits: { name: "Ann", plan: "pro" } });
  client.group({ userId, groupId, traits: { name: "Acme", seats: 12 } });
  for (let n = 1; n <= Number(TRACKS); n++) {
    client.track({ userId, event: "Report Exported", properties: { n } });
    if (Number(PAUSE_MS)) await pause(Number(PAUSE_MS));
  }
  for (let n = 1; n <= 6; n++) {
    client.page({ userId, name: `Page ${n}`, properties: { url: `https://app.example/${n}` } });
  }
  await client.flush();
}

session();
