// What JSX becomes: build.js puts it into every file.
export { Fragment, h } from "preact";
