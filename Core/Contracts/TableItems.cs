namespace PasidFramework.Contracts;

/// <summary>What table readers have in common.</summary>
public static class TableItems
{
    /// <summary>Cuts a list as <see cref="ITableView.Items"/> promises.</summary>
    /// <param name="items">The whole list, made as it is asked for.</param>
    /// <param name="maxItems">Most items, at least 1.</param>
    /// <param name="more">What the last item says where there is more.</param>
    /// <returns>The list; or its first items and a finding at the first one that is left out.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxItems"/> is below 1.</exception>
    public static IEnumerable<TableItem> TruncateWithFinding(IEnumerable<TableItem> items, int maxItems, string more)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxItems, 1);
        return Cut(items, maxItems, more);
    }

    // One item is held back: where another follows and only one more may be given, the finding takes its place.
    private static IEnumerable<TableItem> Cut(IEnumerable<TableItem> items, int maxItems, string more)
    {
        TableItem? held = null;
        int given = 0;
        foreach (TableItem item in items)
        {
            if (held is not null)
            {
                if (++given == maxItems)
                {
                    yield return new TableItem
                    {
                        Kind = TableItemKind.Finding,
                        Structure = held.Structure,
                        Address = held.Address,
                        Text = more,
                    };
                    yield break;
                }

                yield return held;
            }

            held = item;
        }

        if (held is not null)
        {
            yield return held;
        }
    }
}
