// As much of mongosh, and of the mongod that it speaks to, as base/mongodb/initiate.js uses; to see that the script does its
// work whole from wherever it is begun. Given: the script, and how many changes it may make before it is killed. Told: what
// each run changed.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const [script, kills] = [readFileSync(process.argv[2], "utf8"), process.argv[3].split(",").map(Number)];
const secret = { "root-password": "root-word", password: "word" };
const set = { config: null, users: new Map() }; // what the disk keeps

class Killed extends Error {}
const fault = (codeName) => Object.assign(new Error(codeName), { codeName });

function run(changesLeft) {
  const changes = [];
  const change = (what, make) => {
    if (changesLeft-- === 0) throw new Killed();
    make();
    changes.push(what);
  };
  let user = null;
  let election = set.config ? 2 : Infinity; // looks until this member is primary
  let refused = 2; // mongod does not answer at once
  const allowed = () => user === "root" || set.users.size === 0; // mongod trusts its own pod until there is a user
  const admin = {
    hello: () => ({
      setName: set.config?._id,
      primary: set.config?.members[0].host,
      isWritablePrimary: set.config !== null && election-- <= 0,
    }),
    runCommand: ({ replSetInitiate: config }) => {
      if (set.config) throw fault("AlreadyInitialized");
      if (!allowed()) throw fault("Unauthorized");
      change(`set of ${config.members.map((m) => m.host).join(" ")}`, () => (set.config = config));
      election = 2;
      return { ok: 1 };
    },
    auth: (name, word) => {
      if (set.users.get(name)?.pwd !== word) throw fault("AuthenticationFailed");
      user = name;
      return { ok: 1 };
    },
    createUser: (one) => {
      if (!set.config || election > 0) throw fault("NotWritablePrimary");
      if (!allowed()) throw fault("Unauthorized");
      if (set.users.has(one.user)) throw fault("Location51003");
      change(`user ${one.user} ${JSON.stringify(one.roles)}`, () => set.users.set(one.user, one));
    },
    getUser: (name) => {
      if (user !== "root") throw fault("Unauthorized");
      return set.users.get(name) ?? null;
    },
  };
  const context = vm.createContext({
    process: { env: { MEMBERS: "3" } },
    require: () => ({ readFileSync: (path) => secret[path.replace("/etc/mongodb/secret/", "")] + "\n" }),
    connect: () => {
      if (refused-- > 0) throw new Error("ECONNREFUSED");
      return admin;
    },
    sleep: () => {},
    print: () => {},
    Error,
  });
  try {
    vm.runInContext(script, context);
  } catch (e) {
    if (!(e instanceof Killed)) throw e;
    changes.push("killed");
  }
  return changes;
}

console.log(JSON.stringify(kills.map(run)));
