// The set of one node and its accounts: made on the first asking, and no more than asked for after that. Run by mongosh
// inside the container as its health check: the server lets that in without an account while it has none.
const told = process.env;
const admin = db.getSiblingDB("admin");
const state = admin.hello();

if (!state.setName) {
  rs.initiate({_id: "castlist", members: [{_id: 0, host: told.MONGO_HOST}]});
  quit(1);
}
if (!state.isWritablePrimary) {
  quit(1);
}
if (!letIn("castlist", told.MONGO_PASSWORD)) {
  if (!letIn("root", told.MONGO_ROOT_PASSWORD)) {
    admin.createUser({user: "root", pwd: told.MONGO_ROOT_PASSWORD, roles: ["root"]});
    letIn("root", told.MONGO_ROOT_PASSWORD);
  }
  admin.createUser({user: "castlist", pwd: told.MONGO_PASSWORD, roles: [
    {role: "readWrite", db: told.MONGO_DATABASE},
    {role: "clusterMonitor", db: "admin"}, // to ask how long a transaction may last
  ]});
}
quit(0);

function letIn(user, password) {
  try {
    return admin.auth(user, password).ok === 1;
  } catch (refused) {
    return false;
  }
}
