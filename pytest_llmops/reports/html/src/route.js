// Where the reader is: a view, a case's id, and what was asked of the view, all in the hash of the address, so
// that each has a deep link.
import { useEffect, useState } from "preact/hooks";

/**
 * @typedef {{view: "overview" | "cases" | "case" | "history", id: string, query: Object<string, string>}} Route
 */

/** @returns {Route} */
function parse(hash) {
  const [path, search = ""] = hash.replace(/^#?\/?/, "").split("?");
  const [view, id = ""] = path.split("/");
  return {
    view: ["cases", "case", "history"].includes(view) ? view : "overview",
    id: decoded(id),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // an address typed by hand
  }
}

/** The address of a view; parts of `query` that are empty are left out. */
export function address(view, query = {}, id = "") {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  const path = view === "overview" ? "" : view + (id && `/${encodeURIComponent(id)}`);
  return `#/${path}${asked && `?${asked}`}`;
}

export const caseAddress = (id, { q, sort } = {}) => address("case", { q, sort }, id);

export const go = (to) => {
  location.hash = to;
};

/** The route, and a function that changes its query without a new entry in the browser's history. */
export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parse(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const ask = (changed) => {
    const to = address(route.view, { ...route.query, ...changed }, route.id);
    history.replaceState(null, "", to);
    setRoute(parse(to));
  };
  return [route, ask];
}
