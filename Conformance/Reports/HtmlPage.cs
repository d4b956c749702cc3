// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Reports;

/// <summary>The parts of the page that are the same in each: its style, and how its table is sorted and
/// filtered.</summary>
internal static class HtmlPage
{
    /// <summary>Light, dark and on paper. Verdicts differ by word and sign, colour only repeats it.</summary>
    public const string Style = """
        :root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --back: #ffffff; --line: #d0d7de; --card: #f6f8fa;
          --pass: #0b6b3a; --fail: #b3261e; --warn: #7a4b00; --link: #0a58ca; }
        @media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9aa5b1; --back: #0d1117; --line: #30363d;
          --card: #161b22; --pass: #5dd28d; --fail: #ff8a80; --warn: #f0b849; --link: #79b8ff; } }
        body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: var(--back); color: var(--text);
          font: 16px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
        h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
        a { color: var(--link); }
        code, pre { font: 13px/1.45 ui-monospace, monospace; }
        pre { margin: .3rem 0; padding: .5rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line); }
        .good { border-left: .4rem solid var(--pass); padding-left: .8rem; }
        .bad { border-left: .4rem solid var(--fail); padding-left: .8rem; }
        .quiet { color: var(--quiet); }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
        dt { color: var(--quiet); }
        dd { margin: 0; overflow-wrap: anywhere; }
        table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
        td { overflow-wrap: anywhere; }
        td:first-child, td:nth-child(3) { white-space: nowrap; }
        th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
        tr:target { outline: 2px solid var(--link); }
        .pass { color: var(--pass); }
        .fail, .error { color: var(--fail); font-weight: 600; }
        .inconclusive { color: var(--warn); }
        .notApplicable { color: var(--quiet); }
        .tools { margin: .5rem 0; display: flex; gap: 1rem; flex-wrap: wrap; }
        .tools[hidden], tr[hidden] { display: none; }
        @media print { body { margin: 0; max-width: none; font-size: 11px; } .tools { display: none; }
          tr { break-inside: avoid; } a { color: inherit; text-decoration: none; } pre { white-space: pre-wrap; } }
        """;

    // Neither "<" nor "&": the page is well-formed as XML too, and the script needs no escapes there.
    public const string Script = """
        (function () {
          var body = document.querySelector('#results tbody');
          var rows = Array.from(body.rows);
          var verdict = document.getElementById('verdict');
          var words = document.getElementById('words');
          function show() {
            var text = words.value.toLowerCase();
            rows.forEach(function (row) {
              var fits = verdict.value === '' || row.dataset.verdict === verdict.value;
              row.hidden = !(fits ? row.textContent.toLowerCase().includes(text) : false);
            });
          }
          document.querySelector('.tools').hidden = false;
          verdict.addEventListener('change', show);
          words.addEventListener('input', show);
          document.querySelectorAll('#results th').forEach(function (head, column) {
            var button = document.createElement('button');
            var way = -1;
            button.type = 'button';
            button.textContent = head.textContent;
            head.replaceChildren(button);
            button.addEventListener('click', function () {
              way = -way;
              document.querySelectorAll('#results th').forEach(function (h) { h.removeAttribute('aria-sort'); });
              head.setAttribute('aria-sort', way === 1 ? 'ascending' : 'descending');
              rows.sort(function (a, b) {
                return way * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
              });
              rows.forEach(function (row) { body.appendChild(row); });
            });
          });
          document.querySelectorAll('details').forEach(function (d) {
            if (location.hash === '#' + d.closest('tr').id) { d.open = true; }
          });
          addEventListener('beforeprint', function () {
            document.querySelectorAll('details').forEach(function (d) { d.open = true; });
          });
        })();
        """;
}
