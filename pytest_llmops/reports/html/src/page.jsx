// The start of the page: reads the data, shows the app, and lays out a paper of its own when it is printed.
import { Component, render } from "preact";
import { App } from "./app.jsx";
import { readReport } from "./data.js";
import { Paper } from "./paper.jsx";

const Apology = ({ children }) => (
  <main>
    <h1>This report cannot be shown</h1>
    <p>{children}</p>
  </main>
);

/** Says so where a view breaks, rather than leave the page blank. */
class Guard extends Component {
  static getDerivedStateFromError = (error) => ({ error });
  render({ children }, { error }) {
    return error ? (
      <Apology>A view of it broke: {error.message}. Open the page without what follows the # in its address.</Apology>
    ) : (
      children
    );
  }
}

function start(report) {
  const app = document.getElementById("app");
  const paper = document.createElement("div");
  document.body.append(paper);
  render(
    <Guard>
      <App report={report} />
    </Guard>,
    app,
  );
  addEventListener("beforeprint", () => {
    render(<Paper report={report} />, paper);
    for (const details of paper.querySelectorAll("details")) details.open = true;
    app.hidden = true;
  });
  addEventListener("afterprint", () => {
    render(null, paper);
    app.hidden = false;
  });
}

readReport().then(start, (error) => render(<Apology>{error.message}</Apology>, document.getElementById("app")));
