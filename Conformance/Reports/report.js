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
