// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>Every scenario of <c>Vectors/transitions.txt</c>: synchronisations are counted, and what a walker may read
/// in each window between two of them is judged by a reading of "what counts" that shares nothing with the
/// driver's.</summary>
public sealed class TransitionTests
{
    private static readonly Dictionary<string, (Layout Layout, ulong[] Words)> s_entries =
        VectorFile.Lines("transitions.txt")
        .Select(line => line.Split('|', StringSplitOptions.TrimEntries))
        .Where(parts => parts[0] == "entry").ToDictionary(parts => parts[1], parts => Build(parts[2], parts[3]));

    public static TheoryData<string, string, int, string> Changes
    {
        get
        {
            var data = new TheoryData<string, string, int, string>();
            foreach (string[] parts in VectorFile.Lines("transitions.txt")
                .Select(line => line.Split('|', StringSplitOptions.TrimEntries)).Where(parts => parts[0] == "change"))
            {
                data.Add(parts[1], parts[2], int.Parse(parts[3], CultureInfo.InvariantCulture), parts[4]);
            }

            return data;
        }
    }

    [Fact]
    public void Every_scenario_of_the_kernel_is_there() => Assert.Equal(29, Changes.Count);

    [Theory]
    [MemberData(nameof(Changes))]
    public void D2_D4_a_change_takes_the_expected_synchronisations_and_shows_old_new_or_where_it_must_nothing(
        string from, string to, int synchronisations, string kind)
    {
        foreach (bool coherent in new[] { true, false })
        {
            foreach (StoreOrder order in new[] { StoreOrder.Immediate, StoreOrder.Weak })
            {
                var run = new Run(s_entries[from].Words, s_entries[to].Words, IsCd(from), coherent, order);
                Assert.Equal(synchronisations, run.Change());
                Assert.Equal(kind == "B", run.InvalidSeen);
                Assert.Equal(s_entries[to].Words, run.Final);
                Assert.True(run.Mixtures >= synchronisations);
            }
        }
    }

    [Fact]
    public void A_change_to_the_same_entry_takes_no_synchronisation_and_no_store()
    {
        foreach ((string name, (Layout _, ulong[] words)) in s_entries)
        {
            var run = new Run(words, words, IsCd(name), coherent: true, StoreOrder.Immediate);
            Assert.Equal(0, run.Change());
        }
    }

    [Fact]
    public void Any_two_entries_of_a_kind_change_without_a_mixture_that_is_neither_of_them()
    {
        foreach (string from in s_entries.Keys)
        {
            foreach (string to in s_entries.Keys.Where(k => IsCd(k) == IsCd(from)))
            {
                var run =
                    new Run(s_entries[from].Words, s_entries[to].Words, IsCd(from), coherent: false, StoreOrder.Weak);
                Assert.InRange(run.Change(), 0, 3);
                Assert.Equal(s_entries[to].Words, run.Final);
            }
        }
    }

    [Fact]
    public void A_synchronisation_that_fails_ends_the_change_at_its_step()
    {
        var run = new Run(s_entries["bypass"].Words, s_entries["cdtable"].Words, false, true, StoreOrder.Immediate)
        {
            FailAt = 2,
        };
        Assert.Equal(2, run.Change());
        Assert.Equal(Errno.ETIMEDOUT, run.Outcome.Errno);
        Assert.Equal(s_entries["cdtable"].Words[0], run.Final[0]);
        Assert.NotEqual(s_entries["cdtable"].Words[1], run.Final[1]);
    }

    private static bool IsCd(string name) => name.StartsWith("cd-", StringComparison.Ordinal);

    private static (Layout Layout, ulong[] Words) Build(string id, string fields)
    {
        Layout layout = ArmSmmuLayouts.All.Single(l => l.Id == id);
        var words = new ulong[8];
        foreach (string field in fields.Split(' '))
        {
            string[] parts = field.Split('=');
            ulong value = parts[1].StartsWith("0x", StringComparison.Ordinal)
                ? ulong.Parse(parts[1].AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
                : ulong.Parse(parts[1], CultureInfo.InvariantCulture);
            OpResult set = layout.TrySet(words, parts[0], value);
            Assert.True(set.IsOk, set.ToString());
        }

        return (layout, words);
    }

    private sealed class Run
    {
        private readonly ModelMemory _memory;
        private readonly ulong _address;
        private readonly ulong[] _from;
        private readonly ulong[] _to;
        private readonly bool _isCd;

        public Run(ulong[] from, ulong[] to, bool isCd, bool coherent, StoreOrder order)
        {
            _memory = new ModelMemory(coherent, order);
            _address = _memory.AllocatePages(4096).Value + (3 * 64);
            _from = from;
            _to = to;
            _isCd = isCd;
            for (int i = 0; i < 8; i++)
            {
                _memory.WriteQword(_address + ((ulong)i * 8), from[i]);
            }

            _memory.Flush(_address, 64);
            _memory.StoreBarrier();
            _memory.Settle();
        }

        public int FailAt { get; init; }
        public bool InvalidSeen { get; private set; }
        public int Mixtures { get; private set; }
        public OpResult Outcome { get; private set; }

        public ulong[] Final =>
            [.. Enumerable.Range(0, 8).Select(i => _memory.Device.ReadQword(_address + ((ulong)i * 8)))];

        public int Change()
        {
            var counter = new Counter();
            var sync = new Sync(this, counter);
            _memory.Changed += _ => Check();
            Outcome = _isCd
                ? HitlessWriter.Write<ContextRules, Sync>(_memory, _address, _to, ref sync)
                : HitlessWriter.Write<StreamEntryRules, Sync>(_memory, _address, _to, ref sync);
            Assert.Equal(FailAt == 0, Outcome.IsOk);
            Assert.Equal(0, _memory.PendingStores);
            return counter.Count;
        }

        private static ulong[] Used(ReadOnlySpan<ulong> e, bool isCd)
        {
            var used = new ulong[8];
            if (isCd)
            {
                used[0] = 1UL << 31;
                if ((e[0] >> 31 & 1) != 0)
                {
                    Array.Fill(used, ulong.MaxValue);
                    if ((e[0] >> 14 & 1) != 0)
                    {
                        used[0] &= ~0x3FFFUL;
                        used[1] &= ~0x00FF_FFFF_FFFF_FFF0UL;
                    }
                }

                return used;
            }

            used[0] = 1;
            if ((e[0] & 1) == 0)
            {
                return used;
            }

            int config = (int)(e[0] >> 1 & 7);
            used[0] |= 0xE;
            if (config is 5 or 7)
            {
                used[0] |= 0xF8FF_FFFF_FFFF_FFF0;
                used[1] |= 0xF808_00FF;
                used[2] |= 0xFFFF;
                used[1] |= (e[1] & 3) == 1 ? 3UL << 44 : 0;
            }

            if (config is 6 or 7)
            {
                used[1] |= 0x3208_0000 | (3UL << 44);
                used[2] |= 0x065F_FFFF_0000_FFFF;
                used[3] |= 0x00FF_FFFF_FFFF_FFF0;
            }

            used[1] |= config == 4 ? 3UL << 44 : 0;
            return used;
        }

        private void Check()
        {
            _memory.ForEachVisible(() => Judge(Final));
            Mixtures += _memory.ForEachTornRead(_address, 8, Judge);
        }

        private void Judge(ReadOnlySpan<ulong> words)
        {
            if ((words[0] >> (_isCd ? 31 : 0) & 1) == 0)
            {
                InvalidSeen = true;
                return;
            }

            bool isOld = Means(words, _from);
            Assert.True(isOld || Means(words, _to),
                $"{words[0]:x} {words[1]:x} {words[2]:x} {words[3]:x} means neither");
        }

        // The same bits count, and they are the same; merging of events and full ATS may be either's where both count.
        private bool Means(ReadOnlySpan<ulong> words, ReadOnlySpan<ulong> other)
        {
            ulong[] used = Used(words, _isCd);
            ulong[] otherUsed = Used(other, _isCd);
            for (int i = 0; i < 8; i++)
            {
                ulong safe = !_isCd && i == 1 ? 0x1008_0000UL : 0;
                if ((words[i] & used[i] & ~safe) != (other[i] & otherUsed[i] & ~safe))
                {
                    return false;
                }
            }

            return true;
        }

        private sealed class Counter
        {
            public int Count { get; set; }
        }

        private readonly struct Sync(Run run, Counter counter) : IEntrySync
        {
            public OpResult Synchronise()
            {
                run.Check();
                run._memory.StoreBarrier();
                run.Check();
                run._memory.Settle();
                return ++counter.Count == run.FailAt ? OpResult.Refuse(Errno.ETIMEDOUT, "refused") : OpResult.Ok;
            }
        }
    }
}
