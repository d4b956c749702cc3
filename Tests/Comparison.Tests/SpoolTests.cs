// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Tests;

public class SpoolTests
{
    [Theory]
    [InlineData(0, 7)]
    [InlineData(7, 7)]
    [InlineData(5000, 7)]
    [InlineData(5000, 16384)]
    [InlineData(400_000, 1000)]
    public void Records_come_back_in_order_from_a_few_chunks_or_many(int count, int chunk)
    {
        using var spool = new SortedSpool<long>(chunk);
        long[] values = [.. Enumerable.Range(0, count).Select(i => (i * 7919L) % 100_003)];
        foreach (long value in values)
        {
            spool.Add(value);
        }

        spool.Seal();
        Array.Sort(values);

        Assert.Equal(count, spool.Count);
        Assert.Equal(values, All(spool));
        Assert.Equal(values, All(spool));
        Assert.InRange(spool.HeldRecords, 0, Math.Max(16, chunk));
    }

    [Fact]
    public void Records_that_come_in_order_are_not_sorted_again()
    {
        using var spool = new SortedSpool<long>(100);
        for (int i = 0; i < 100_000; i++)
        {
            spool.Add(i / 2);
        }

        spool.Seal();

        Assert.True(spool.IsSorted);
        Assert.Equal(Enumerable.Range(0, 100_000).Select(i => (long)(i / 2)), All(spool));
    }

    [Fact]
    public void What_does_not_stay_in_memory_comes_back_and_leaves_no_file()
    {
        string[] before = Temporary();
        using (var spool = new Spool())
        {
            var part = new byte[1000];
            for (int i = 0; i < 5000; i++)
            {
                Array.Fill(part, (byte)i);
                Assert.Equal(i * 1000L, spool.Append(part));
            }

            Assert.Equal(1000, spool.Read(4999 * 1000L, part));
            Assert.All(part, b => Assert.Equal(4999 & 0xFF, b));
            spool.Seal();
            Assert.Equal(0, spool.HeldBytes);
            for (int i = 0; i < 5000; i += 499)
            {
                Assert.Equal(1000, spool.Read(i * 1000L, part));
                Assert.All(part, b => Assert.Equal((byte)i, b));
            }

            Assert.Equal(0, spool.Read(spool.Length, part));
            using var copy = new MemoryStream();
            spool.CopyTo(copy);
            Assert.Equal(5_000_000, copy.Length);

            // The file has no name even now.
            Assert.Equal(before, Temporary());
        }

        static string[] Temporary() => OperatingSystem.IsWindows()
            ? []
            : [.. Directory.EnumerateFiles(Path.GetTempPath(), $"pasid-{Environment.ProcessId}-*").Order()];
    }

    [Fact]
    public void Names_keep_their_numbers_also_when_there_are_more_than_are_held()
    {
        using var names = new NameSpool();
        string[] texts = [.. Enumerable.Range(0, NameSpool.MaxHeld * 3).Select(i => $"name \u00e4 {i}"), string.Empty];
        long[] numbers = [.. texts.Select(names.Add)];
        Assert.Equal(numbers[^1], names.Add(string.Empty));
        names.Seal();

        NameSpool.Reader reader = names.Open();

        Assert.Equal(texts, numbers.Select(reader.Get));
        Assert.Equal(texts[0], reader.Get(numbers[0]));
    }

    private static List<long> All(SortedSpool<long> spool)
    {
        var values = new List<long>();
        SortedSpool<long>.Reader reader = spool.Open();
        while (reader.TryRead(out long value))
        {
            values.Add(value);
        }

        return values;
    }
}
