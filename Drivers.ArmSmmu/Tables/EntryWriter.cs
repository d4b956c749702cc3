using System.Numerics;
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>Completes the invalidation of one entry.</summary>
internal interface IEntrySync
{
    /// <summary>
    /// Returns when no fetch that began before is under way or cached any more. Whatever it sends, it orders the stores
    /// before it ahead of everything after it.
    /// </summary>
    OpResult Synchronise();
}

/// <summary>
/// Changes a 64-byte entry under a walker that reads 64 bits at a time, in the order that lets it see the old meaning,
/// the new one, or, only where nothing else is possible, no valid entry (Arm IHI 0070 3.21).
/// </summary>
/// <remarks>
/// What decides is which words differ in bits that count (<see cref="IEntryRules"/>). None or one: first what the
/// current entry does not look at, then the one word, then what the target does not look at. More: V := 0, words 1 to 7,
/// word 0. Only words that change are stored, every step is one flush, and a step that stores nothing needs no
/// synchronisation. The synchronisation is the barrier, too.
/// </remarks>
internal static class EntryWriter
{
    /// <summary>Words of an entry.</summary>
    public const int Words = 8;

    /// <summary>Changes an entry.</summary>
    /// <typeparam name="TRules">What counts.</typeparam>
    /// <typeparam name="TSync">How it is synchronised.</typeparam>
    /// <param name="memory">Where.</param>
    /// <param name="address">Byte address of the entry, a multiple of 64.</param>
    /// <param name="target">Eight words.</param>
    /// <param name="sync">Called after every step.</param>
    /// <returns>Success, or the synchronisation's refusal; then the entry is as the step left it.</returns>
    public static OpResult Write<TRules, TSync>(
        IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> target, ref TSync sync)
        where TRules : IEntryRules
        where TSync : IEntrySync
    {
        Span<ulong> entry = stackalloc ulong[Words];
        Load(memory, address, entry);
        Span<ulong> step = stackalloc ulong[Words];
        int critical = Plan<TRules>(entry, target, step);
        if (BitOperations.PopCount((uint)critical) > 1)
        {
            // Word 0 has the valid bit of both structures.
            OpResult broken = Store(memory, address, entry, [0], 0, ref sync);
            if (broken.IsOk)
            {
                broken = Store(memory, address, entry, target[1..], 1, ref sync);
            }

            return broken.IsOk ? Store(memory, address, entry, target[..1], 0, ref sync) : broken;
        }

        if (critical != 0)
        {
            // What the critical word's own step writes anyway is not worth a step before it.
            int word = BitOperations.TrailingZeroCount(critical);
            step[word] = entry[word];
            OpResult prepared = Store(memory, address, entry, step, 0, ref sync);
            if (prepared.IsOk)
            {
                prepared = Store(memory, address, entry, target.Slice(word, 1), word, ref sync);
            }

            if (!prepared.IsOk)
            {
                return prepared;
            }
        }

        return Store(memory, address, entry, target, 0, ref sync);
    }

    /// <summary>Fills an entry that no walker can reach yet; the caller flushes the table.</summary>
    /// <param name="memory">Where; the entry is all 0.</param>
    /// <param name="address">Byte address of the entry.</param>
    /// <param name="words">Eight words.</param>
    public static void Fill(IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> words)
    {
        for (int word = 0; word < Words; word++)
        {
            if (words[word] != 0)
            {
                memory.WriteQword(address + ((ulong)word * 8), words[word]);
            }
        }
    }

    /// <summary>Stores one word and flushes it; what follows must order it.</summary>
    public static void WriteWord(IPhysicalMemory memory, ulong address, ulong value)
    {
        memory.WriteQword(address, value);
        memory.Flush(address, 8);
    }

    /// <summary>Reads an entry.</summary>
    public static void Load(IPhysicalMemory memory, ulong address, Span<ulong> words)
    {
        for (int word = 0; word < Words; word++)
        {
            words[word] = memory.ReadQword(address + ((ulong)word * 8));
        }
    }

    // Bit i: used bits of word i differ even after everything that the current entry ignores has its new value. The new
    // values of ignored (and safe) bits go to step.
    private static int Plan<TRules>(ReadOnlySpan<ulong> entry, ReadOnlySpan<ulong> target, Span<ulong> step)
        where TRules : IEntryRules
    {
        Span<ulong> now = stackalloc ulong[Words];
        Span<ulong> then = stackalloc ulong[Words];
        Span<ulong> safe = stackalloc ulong[Words];
        now.Clear();
        then.Clear();
        safe.Clear();
        TRules.Used(entry, now);
        TRules.Used(target, then);
        TRules.Safe(entry, target, safe);
        int critical = 0;
        for (int word = 0; word < Words; word++)
        {
            // Safe bits count only where both sides use them; otherwise they go with the side that ignores them.
            ulong kept = now[word] & ~(safe[word] & now[word] & then[word]);
            step[word] = (entry[word] & kept) | (target[word] & ~kept);
            if (((step[word] ^ target[word]) & then[word]) != 0)
            {
                critical |= 1 << word;
            }
        }

        return critical;
    }

    private static OpResult Store<TSync>(
        IPhysicalMemory memory, ulong address, Span<ulong> entry, ReadOnlySpan<ulong> values, int first, ref TSync sync)
        where TSync : IEntrySync
    {
        int low = Words;
        int high = -1;
        for (int i = 0; i < values.Length; i++)
        {
            int word = first + i;
            if (entry[word] == values[i])
            {
                continue;
            }

            entry[word] = values[i];
            memory.WriteQword(address + ((ulong)word * 8), values[i]);
            low = Math.Min(low, word);
            high = word;
        }

        if (high < 0)
        {
            return OpResult.Ok;
        }

        memory.Flush(address + ((ulong)low * 8), (high - low + 1) * 8);
        return sync.Synchronise();
    }
}
