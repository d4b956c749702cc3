// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.DriverKit.Tables;

/// <summary>
/// Changes an entry of up to eight words under a walker that reads 64 bits at a time, in the order that lets it see the
/// old meaning, the new one, or, only where nothing else is possible, no valid entry. The valid bit is in word 0.
/// </summary>
/// <remarks>
/// What decides is which words differ in bits that count (<see cref="IEntryRules"/>). None or one: first what the
/// current entry ignores, then the one word, then what the target ignores. More: word 0 := 0, the
/// others, word 0. Only words that change are stored, every step is one flush, and a step that stores nothing needs no
/// synchronisation. The synchronisation is the barrier, too. Source: Arm IHI 0070, 3.21; the method is that of Linux's
/// arm_smmu_write_entry.
/// </remarks>
public static class HitlessWriter
{
    /// <summary>Most words of an entry.</summary>
    public const int MaxWords = 8;

    /// <summary>Changes an entry that may be valid.</summary>
    /// <typeparam name="TRules">What counts.</typeparam>
    /// <typeparam name="TSync">How it is synchronised.</typeparam>
    /// <param name="memory">Where.</param>
    /// <param name="address">Byte address of the entry, a multiple of its size.</param>
    /// <param name="target">Its words, at most <see cref="MaxWords"/>.</param>
    /// <param name="sync">Called after every step.</param>
    /// <returns>Success, or the synchronisation's refusal; then the entry is as the step left it.</returns>
    public static OpResult Write<TRules, TSync>(
        IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> target, ref TSync sync)
        where TRules : IEntryRules
        where TSync : IEntrySync
    {
        ArgumentNullException.ThrowIfNull(memory);
        Span<ulong> entry = stackalloc ulong[target.Length];
        memory.ReadWords(address, entry);
        Span<ulong> step = stackalloc ulong[target.Length];
        int critical = Plan<TRules>(entry, target, step);
        if (BitOperations.PopCount((uint)critical) > 1)
        {
            OpResult broken = Store(memory, address, entry, [0], 0, ref sync);
            return broken.IsOk ? Install(memory, address, target, ref sync) : broken;
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

    /// <summary>Installs an entry that is not valid: nothing of it counts before word 0.</summary>
    /// <typeparam name="TSync">How it is synchronised.</typeparam>
    /// <param name="memory">Where.</param>
    /// <param name="address">Byte address of the entry.</param>
    /// <param name="words">Its words, 2 to <see cref="MaxWords"/>.</param>
    /// <param name="sync">Called before word 0, where another word was stored, and after it.</param>
    /// <returns>As <see cref="Write"/>.</returns>
    public static OpResult Install<TSync>(
        IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> words, ref TSync sync)
        where TSync : IEntrySync
    {
        ArgumentNullException.ThrowIfNull(memory);
        uint stored = memory.WriteWords(address + 8, words[1..]) << 1;
        OpResult prepared = stored == 0 ? OpResult.Ok : Finish(memory, address, stored, ref sync);
        if (!prepared.IsOk)
        {
            return prepared;
        }

        memory.WriteQword(address, words[0]);
        return Finish(memory, address, 1, ref sync);
    }

    // Bit i: used bits of word i differ even after everything that the current entry ignores has its new value. The new
    // values of ignored (and safe) bits go to step.
    private static int Plan<TRules>(ReadOnlySpan<ulong> entry, ReadOnlySpan<ulong> target, Span<ulong> step)
        where TRules : IEntryRules
    {
        Span<ulong> now = stackalloc ulong[entry.Length];
        Span<ulong> then = stackalloc ulong[entry.Length];
        Span<ulong> safe = stackalloc ulong[entry.Length];
        now.Clear();
        then.Clear();
        safe.Clear();
        TRules.Used(entry, now);
        TRules.Used(target, then);
        TRules.Safe(entry, target, safe);
        int critical = 0;
        for (int word = 0; word < entry.Length; word++)
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

    // What was loaded is compared, and not loaded again: the entry is the writer's.
    private static OpResult Store<TSync>(
        IPhysicalMemory memory, ulong address, Span<ulong> entry, ReadOnlySpan<ulong> values, int first, ref TSync sync)
        where TSync : IEntrySync
    {
        uint stored = 0;
        for (int i = 0; i < values.Length; i++)
        {
            int word = first + i;
            if (entry[word] != values[i])
            {
                entry[word] = values[i];
                memory.WriteQword(address + (ulong)word * 8, values[i]);
                stored |= 1u << word;
            }
        }

        return stored == 0 ? OpResult.Ok : Finish(memory, address, stored, ref sync);
    }

    private static OpResult Finish<TSync>(IPhysicalMemory memory, ulong address, uint stored, ref TSync sync)
        where TSync : IEntrySync
    {
        int low = BitOperations.TrailingZeroCount(stored);
        memory.Flush(address + (ulong)low * 8, (BitOperations.Log2(stored) - low + 1) * 8);
        return sync.Synchronise();
    }
}
