// Makes every call of the official client against a running server, and prints a JSON line for each: the call, the
// requests behind it, and what the client read, or the error that it threw. Nothing is judged here.
//
// Environment: OUTDIAL_CLIENT (the folder in which npm installed it), OUTDIAL_URL, OUTDIAL_API_KEY, OUTDIAL_NUMBER_ID (a
// number of the network in a box), OUTDIAL_RECORDED (a conversation of which there is a recording).

import { createRequire } from "node:module";
import { join } from "node:path";

const { OUTDIAL_CLIENT, OUTDIAL_URL, OUTDIAL_API_KEY, OUTDIAL_NUMBER_ID: numberId, OUTDIAL_RECORDED: recorded } =
    process.env;
const PATIENCE_MS = 30_000;
const LATER = 4_000_000_000;

// the client looks fetch up when it sends, so this sees every request of it
let requests = [];
const send = globalThis.fetch;
globalThis.fetch = (url, options) => {
    requests.push([options?.method ?? "GET", new URL(url).pathname]);
    return send(url, options);
};

const { ElevenLabsClient } = createRequire(join(OUTDIAL_CLIENT, "package.json"))("@elevenlabs/elevenlabs-js");
const client = new ElevenLabsClient({ baseUrl: OUTDIAL_URL, apiKey: OUTDIAL_API_KEY });
const { agents, batchCalls, conversations, exotel, phoneNumbers, settings, sipTrunk, twilio, whatsapp, whatsappAccounts } =
    client.conversationalAi;
const { webhooks } = client;

// One call: its line is printed whatever comes of it. What was read is returned, or {} after an error.
async function call(name, make) {
    requests = [];
    const line = { call: name, requests };
    let read = {};
    try {
        read = await make();
        line.answer = read ?? null;
    } catch (error) {
        line.error = {
            name: error.constructor.name,
            status: error.statusCode ?? null,
            message: String(error.message),
            body: error.body ?? null,
        };
    }
    console.log(JSON.stringify(line));
    return read ?? {};
}

async function text(stream) {
    return await new Response(await stream).text();
}

async function over(name, batchId) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const seen = await batchCalls.get(batchId);
        if (seen.status === "completed" || Date.now() > deadline) {
            return await call(name, () => batchCalls.get(batchId));
        }
        await new Promise((done) => setTimeout(done, 30));
    }
}

// --- agents

const rich = {
    asr: { keywords: ["Ada"] },
    turn: { turnTimeout: 5, mode: "turn" },
    tts: { voiceId: "voice", modelId: "eleven_flash_v2", stability: 0.4, speed: 1.1, similarityBoost: 0.7 },
    conversation: { maxDurationSeconds: 120, textOnly: false, clientEvents: ["audio"] },
    agent: {
        firstMessage: "Hello {{name}}",
        language: "de",
        dynamicVariables: { dynamicVariablePlaceholders: { name: "you", age: 3, member: true } },
        prompt: { prompt: "Be kind", llm: "gemini-2.5-flash", temperature: 0.2, toolIds: ["t1"], knowledgeBase: [] },
    },
};
const around = {
    overrides: {
        conversationConfigOverride: { agent: { firstMessage: true, language: true }, tts: { voiceId: true } },
    },
    callLimits: { agentConcurrencyLimit: 5, dailyLimit: 1000, burstingEnabled: false },
    privacy: { recordVoice: false, retentionDays: 30 },
};
const bare = await call("agents.create bare", () => agents.create({ conversationConfig: {} }));
const agent = await call("agents.create", () =>
    agents.create({ name: "Ada by JS", tags: ["js"], conversationConfig: rich, platformSettings: around }),
);
const agentId = agent.agentId;
await call("agents.get bare", () => agents.get(bare.agentId));
await call("agents.get", () => agents.get(agentId));
await call("agents.update", () =>
    agents.update(agentId, { tags: ["js", "new"], conversationConfig: { agent: { firstMessage: "Good day {{name}}" } } }),
);
await call("agents.list", () => agents.list({ search: "by JS", sortBy: "created_at", sortDirection: "desc", tags: ["js"] }));
const firstPage = await call("agents.list page 1", () => agents.list({ pageSize: 1, createdByUserId: "@me" }));
await call("agents.list page 2", () => agents.list({ pageSize: 1, cursor: firstPage.nextCursor }));
const copy = await call("agents.duplicate", () => agents.duplicate(agentId, { name: "Eve by JS" }));
await call("agents.duplicate bare", () => agents.duplicate(bare.agentId));
await call("agents.delete", () => agents.delete(copy.agentId));
await call("agents.get gone", () => agents.get(copy.agentId));

// --- phone numbers

const sip = await call("phoneNumbers.create sip", () =>
    phoneNumbers.create({
        provider: "sip_trunk",
        phoneNumber: "+49305550301",
        label: "trunk",
        agentId,
        inboundTrunkConfig: { allowedAddresses: ["192.0.2.1"], mediaEncryption: "allowed" },
        outboundTrunkConfig: {
            address: "sip.example.com",
            transport: "tls",
            mediaEncryption: "required",
            headers: { "X-A": "b" },
            credentials: { username: "u", password: "hunter22" },
        },
    }),
);
const rented = await call("phoneNumbers.create twilio", () =>
    phoneNumbers.create({ provider: "twilio", phoneNumber: "+49305550302", label: "rented", sid: "AC1", token: "hunter22" }),
);
await call("phoneNumbers.get sip", () => phoneNumbers.get(sip.phoneNumberId));
await call("phoneNumbers.get twilio", () => phoneNumbers.get(rented.phoneNumberId));
await call("phoneNumbers.get loopback", () => phoneNumbers.get(numberId));
await call("phoneNumbers.list", () => phoneNumbers.list());
await call("phoneNumbers.list filtered", () => phoneNumbers.list({ provider: "sip_trunk", agentId }));
await call("phoneNumbers.update", () => phoneNumbers.update(numberId, { label: "box", agentId, environment: "production" }));
await call("phoneNumbers.update sip", () =>
    phoneNumbers.update(sip.phoneNumberId, {
        livekitStack: "static",
        storeSipMessages: true,
        outboundTrunkConfig: { address: "sip2.example.com" },
    }),
);
await call("agents.get with numbers", () => agents.get(agentId));
await call("phoneNumbers.getSipMessages", () => phoneNumbers.getSipMessages(sip.phoneNumberId));
await call("phoneNumbers.delete", () => phoneNumbers.delete(rented.phoneNumberId));
await call("phoneNumbers.get gone", () => phoneNumbers.get(rented.phoneNumberId));

// --- batches

const order = {
    callName: "by JS",
    agentId,
    agentPhoneNumberId: numberId,
    recipients: [
        {
            id: "ada",
            phoneNumber: "+493066215000",
            conversationInitiationClientData: {
                userId: "u1",
                dynamicVariables: { name: "Ada", age: 36, member: true },
                conversationConfigOverride: { agent: { firstMessage: "Hi {{name}}", language: "en" } },
            },
        },
        { phoneNumber: "+493066211486" },
        { phoneNumber: "+493066210404" },
    ],
};
const batch = await call("batchCalls.create", () => batchCalls.create(order));
await over("batchCalls.get", batch.id);
await call("batchCalls.retry", () => batchCalls.retry(batch.id));
const done = await over("batchCalls.get after retry", batch.id);
await call("batchCalls.cancel over", () => batchCalls.cancel(batch.id));
await call("batchCalls.export", () => text(batchCalls.export(batch.id)));
await call("batchCalls.export limited", () => text(batchCalls.export(batch.id, { limit: 1 })));
const later = await call("batchCalls.create later", () =>
    batchCalls.create({
        callName: "later by JS",
        agentId,
        agentPhoneNumberId: numberId,
        recipients: [{ phoneNumber: "+493066225000" }],
        scheduledTimeUnix: LATER,
        timezone: "Europe/Berlin",
        branchId: "branch",
        environment: "production",
        targetConcurrencyLimit: 2,
        telephonyCallConfig: {
            ringingTimeoutSecs: 45,
            twilioCallRecordingEnabled: true,
        },
    }),
);
await call("batchCalls.get later", () => batchCalls.get(later.id));
const batchPage = await call("batchCalls.list page 1", () => batchCalls.list({ limit: 1, agentId }));
await call("batchCalls.list page 2", () => batchCalls.list({ limit: 1, lastDoc: batchPage.nextDoc, agentId }));
await call("batchCalls.list", () => batchCalls.list());
await call("batchCalls.cancel", () => batchCalls.cancel(later.id));
await call("batchCalls.delete", () => batchCalls.delete(later.id));
await call("batchCalls.get gone", () => batchCalls.get(later.id));
await call("batchCalls.create of nobody", () => batchCalls.create({ ...order, recipients: [] }));
await call("batchCalls.create unknown agent", () => batchCalls.create({ ...order, agentId: "agent_nobody" }));
await call("batchCalls.create by WhatsApp", () =>
    batchCalls.create({
        callName: "by WhatsApp",
        agentId,
        recipients: [{ whatsappUserId: "1" }],
        whatsappParams: {
            whatsappPhoneNumberId: "2",
            whatsappCallPermissionRequestTemplateName: "t",
            whatsappCallPermissionRequestTemplateLanguageCode: "en",
        },
    }),
);

// --- single calls

const single = { agentId, agentPhoneNumberId: numberId };
const placed = await call("twilio.outboundCall", () =>
    twilio.outboundCall({
        ...single,
        toNumber: "+493066235000",
        callRecordingEnabled: true,
        conversationInitiationClientData: { dynamicVariables: { name: "Bea" } },
        telephonyCallConfig: { ringingTimeoutSecs: 30 },
    }),
);
await call("sipTrunk.outboundCall", () => sipTrunk.outboundCall({ ...single, toNumber: "+493066245000" }));
await call("exotel.outboundCall", () => exotel.outboundCall({ ...single, toNumber: "+493066255000" }));
await call("whatsapp.outboundCall", () =>
    whatsapp.outboundCall({
        whatsappPhoneNumberId: "1",
        whatsappUserId: "2",
        whatsappCallPermissionRequestTemplateName: "t",
        whatsappCallPermissionRequestTemplateLanguageCode: "en",
        agentId,
    }),
);

// --- conversations

const conversationId = done.recipients?.[0]?.conversationId;
await call("conversations.list", () =>
    conversations.list({ agentId, summaryMode: "include", callStartAfterUnix: 1, userId: "u1", excludeStatuses: ["failed"] }),
);
const talkPage = await call("conversations.list page 1", () => conversations.list({ agentId, pageSize: 1 }));
await call("conversations.list page 2", () => conversations.list({ agentId, pageSize: 1, cursor: talkPage.nextCursor }));
await call("conversations.get", () => conversations.get(conversationId));
await call("conversations.get unanswered", () => conversations.get(done.recipients?.[2]?.conversationId));
await call("conversations.get single", () => conversations.get(placed.conversationId));
await call("conversations.getSipMessages", () => conversations.getSipMessages(placed.conversationId, { pageSize: 10 }));
await call("conversations.audio.get none", () => text(conversations.audio.get(done.recipients?.[2]?.conversationId)));
await call("conversations.audio.get", () => text(conversations.audio.get(recorded)));
await call("conversations.get recorded", () => conversations.get(recorded));
await call("batchCalls.delete over", () => batchCalls.delete(batch.id));
await call("conversations.get afterwards", () => conversations.get(conversationId));
await call("conversations.delete", () => conversations.delete(conversationId));
await call("conversations.get gone", () => conversations.get(conversationId));

// --- the workspace

const hook = await call("webhooks.create", () =>
    webhooks.create({ settings: { authType: "hmac", name: "by JS", webhookUrl: "https://example.com/hook" } }),
);
await call("settings.get", () => settings.get());
await call("settings.update", () =>
    settings.update({ webhooks: { postCallWebhookId: hook.webhookId, events: ["transcript"], transcriptFormat: "json" } }),
);
await call("webhooks.list", () => webhooks.list({ includeUsages: true }));
await call("webhooks.list bare", () => webhooks.list());
await call("webhooks.update", () =>
    webhooks.update(hook.webhookId, { isDisabled: true, name: "by JS, off", retryEnabled: true, requestHeaders: { "X-A": "b" } }),
);
await call("settings.update back", () => settings.update({ webhooks: { postCallWebhookId: undefined, events: [] } }));
await call("webhooks.delete", () => webhooks.delete(hook.webhookId));
await call("whatsappAccounts.list", () => whatsappAccounts.list());
await call("whatsappAccounts.get", () => whatsappAccounts.get("1"));
await call("whatsappAccounts.update", () => whatsappAccounts.update("1", { enableMessaging: true }));
await call("whatsappAccounts.delete", () => whatsappAccounts.delete("1"));

// --- a stranger

const stranger = new ElevenLabsClient({ baseUrl: OUTDIAL_URL, apiKey: "not a key of this server" });
await call("batchCalls.list wrong key", () => stranger.conversationalAi.batchCalls.list());
// as the published page makes it: the address as `environment`, the key from ELEVENLABS_API_KEY
process.env.ELEVENLABS_API_KEY = OUTDIAL_API_KEY;
await call("batchCalls.list by environment", () =>
    new ElevenLabsClient({ environment: OUTDIAL_URL }).conversationalAi.batchCalls.list({ limit: 1 }),
);
