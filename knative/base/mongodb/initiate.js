// Makes the replica set and its users, from the first member, by mongosh. It may run any number of times: what is there
// stays. Until there is a user mongod trusts whoever comes from its own pod, and only for this.
const fs = require("fs");

const members = Number(process.env.MEMBERS);
const tls = process.env.MONGO_TLS_CA ? `&tls=true&tlsCAFile=${process.env.MONGO_TLS_CA}` : "";
const password = (key) => fs.readFileSync(`/etc/mongodb/secret/${key}`, "utf8").trim();
const deadline = Date.now() + 10 * 60 * 1000;

// until waits for what does not throw and is not false; members start when they like.
function until(what, attempt) {
  for (let fault = "not yet"; Date.now() < deadline; sleep(1000)) {
    try {
      const result = attempt();
      if (result) return result;
    } catch (e) {
      if (e.message !== fault) print(JSON.stringify({ waiting: what, because: (fault = e.message) }));
    }
  }
  throw new Error(`${what}: not within ten minutes`);
}

const admin = until("mongod answers", () => connect(`mongodb://127.0.0.1:27017/admin?directConnection=true${tls}`));
const hello = () => admin.hello();

if (!hello().setName) {
  until("the replica set is made", () => {
    try {
      return admin.runCommand({
        replSetInitiate: {
          _id: "marimba",
          members: Array.from({ length: members }, (_, i) => ({
            _id: i,
            host: `mongodb-${i}.mongodb.marimba.svc.cluster.local:27017`,
            priority: i === 0 ? 2 : 1, // the first becomes primary, so that it can make the users
          })),
        },
      }).ok;
    } catch (e) {
      if (e.codeName === "AlreadyInitialized") return true;
      throw e;
    }
  });
}
until("this member is primary", () => hello().isWritablePrimary);

// A login works if there is the user, and then all of this was done before, but for what a kill left out.
function login() {
  try {
    return admin.auth("root", password("root-password")).ok === 1;
  } catch (e) {
    if (e.codeName === "AuthenticationFailed") return false;
    throw e;
  }
}
if (!login()) {
  admin.createUser({ user: "root", pwd: password("root-password"), roles: ["root"] });
  until("root can log in", login);
}

// The functions' user: it reads and writes the log, makes its indexes and its view, and nothing else.
if (!admin.getUser("marimba")) {
  admin.createUser({ user: "marimba", pwd: password("password"), roles: [{ role: "readWrite", db: "marimba" }] });
}
print(JSON.stringify({ ready: true, primary: hello().primary }));
