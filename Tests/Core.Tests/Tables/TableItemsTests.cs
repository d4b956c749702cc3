using PasidFramework.Contracts;

namespace PasidFramework.Core.Tests.Tables;

public sealed class TableItemsTests
{
    [Theory]
    [InlineData(0, 1, "")]
    [InlineData(1, 1, "0")]
    [InlineData(2, 1, "more at 0")]
    [InlineData(3, 2, "0, more at 1")]
    [InlineData(3, 3, "0, 1, 2")]
    [InlineData(9, 3, "0, 1, more at 2")]
    public void A_list_is_cut_at_the_first_item_that_does_not_fit(int items, int most, string expected)
    {
        int made = 0;
        IEnumerable<TableItem> Endless()
        {
            for (; made < items; made++)
            {
                yield return new TableItem
                {
                    Kind = TableItemKind.Pasid,
                    Structure = "test/entry",
                    Address = (ulong)made,
                    Words = [1],
                    Text = $"{made}",
                };
            }
        }

        TableItem[] cut = [.. TableItems.TruncateWithFinding(Endless(), most, "more")];

        Assert.Equal(expected, string.Join(", ", cut.Select(
            i => i.Kind == TableItemKind.Finding ? $"{i.Text} at {i.Address}" : i.Text)));
        Assert.InRange(made, 0, most + 1);
        Assert.All(cut.Where(i => i.Kind == TableItemKind.Finding), i => Assert.Empty(i.Words));
    }

    [Fact]
    public void A_list_of_nothing_is_misuse_before_it_is_asked_for() => Assert.Throws<ArgumentOutOfRangeException>(
        () => { _ = TableItems.TruncateWithFinding([], 0, "more"); });
}
