// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;

namespace PasidFramework.Allocation;

/// <summary>The built-in policies by name, and how an allocator is put together from options.</summary>
public static class PasidAllocators
{
    /// <summary>Next fit with wrap; see <see cref="CyclicPasidAllocator"/>.</summary>
    public const string Cyclic = "cyclic";

    /// <summary>Smallest free PASID; see <see cref="LowestPasidAllocator"/>.</summary>
    public const string Lowest = "lowest";

    /// <summary>Largest free PASID; see <see cref="TopDownPasidAllocator"/>.</summary>
    public const string TopDown = "top-down";

    /// <summary>A random PASID; see <see cref="RandomPasidAllocator"/>.</summary>
    public const string Random = "random";

    /// <summary>Next fit with wrap and a stock per thread; see <see cref="ShardedPasidAllocator"/>.</summary>
    public const string Sharded = "sharded";

    /// <summary>The built-in policies. A plug-in of the same name does not replace one.</summary>
    public static IReadOnlyDictionary<string, IPasidAllocatorFactory> BuiltIn { get; } =
        new Dictionary<string, IPasidAllocatorFactory>(StringComparer.Ordinal)
        {
            [Cyclic] = new Factory((range, _) => new CyclicPasidAllocator(range)),
            [Lowest] = new Factory((range, _) => new LowestPasidAllocator(range)),
            [TopDown] = new Factory((range, _) => new TopDownPasidAllocator(range)),
            [Random] = new Factory((range, seed) => new RandomPasidAllocator(range, seed)),
            [Sharded] = new Factory((range, _) => new ShardedPasidAllocator(range)),
        }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Makes the allocator of one space; as <see cref="TryCompose"/>, but a refusal throws.</summary>
    /// <exception cref="ArgumentException">The options do not fit the range; the message names the key.</exception>
    public static IPasidAllocator Compose(
        PasidOptions options,
        IReadOnlyDictionary<string, IPasidAllocatorFactory>? plugins,
        PasidRange range,
        TimeProvider time)
    {
        OpResult<IPasidAllocator> composed = TryCompose(options, plugins, range, time);
        return composed.IsOk ? composed.Value : throw new ArgumentException(composed.Reason, nameof(options));
    }

    /// <summary>Makes the allocator of one space: the policy, then what <see cref="TryDecorate"/> adds.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="plugins">Policies beside the built-in ones, by name; may be null.</param>
    /// <param name="range">What the space can carry; only the part inside <see cref="PasidOptions.First"/> to
    /// <see cref="PasidOptions.Last"/> is allocated.</param>
    /// <param name="time">The clock of the quarantine.</param>
    /// <returns>The allocator, or EINVAL: unknown policy, no PASID in both ranges, quarantine not smaller than the
    /// range, or a plug-in whose allocator has other PASIDs than it was asked for.</returns>
    public static OpResult<IPasidAllocator> TryCompose(
        PasidOptions options,
        IReadOnlyDictionary<string, IPasidAllocatorFactory>? plugins,
        PasidRange range,
        TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        PasidRange usable = Cut(options, range);
        if (usable.IsEmpty)
        {
            return Refuse(
                $"Pasid:First to Pasid:Last is {options.First} to {options.Last}, must meet the space's {range}");
        }

        if (!BuiltIn.TryGetValue(options.Allocator, out IPasidAllocatorFactory? factory)
            && plugins?.TryGetValue(options.Allocator, out factory) != true)
        {
            IEnumerable<string> known =
                BuiltIn.Keys.Concat(plugins?.Keys ?? []).Distinct().Order(StringComparer.Ordinal);
            return Refuse($"Pasid:Allocator is '{options.Allocator}', must be one of {string.Join(", ", known)}");
        }

        IPasidAllocator allocator = factory!.Create(usable, options.Seed);
        if (allocator.Range != usable)
        {
            return Refuse(
                $"allocator '{options.Allocator}' allocates {allocator.Range}, must be {usable} as asked");
        }

        return TryDecorate(allocator, options, time);
    }

    /// <summary>
    /// Adds to an allocator what the options ask for, with any policy: reserved PASIDs, quarantine, quota.
    /// </summary>
    /// <remarks>
    /// The quarantine lies inside and the quota outside. So a tenant pays for the PASIDs that it holds and not for
    /// those that wait after it let go of them, and a refused tenant does not move the policy's cursor. The price: a
    /// tenant that binds and unbinds quickly can make more PASIDs wait than its quota allows it to hold.
    /// </remarks>
    /// <param name="inner">An allocator of which nothing is live, a driver's own for instance; from here on it
    /// belongs to the result.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="time">The clock of the quarantine.</param>
    /// <returns>The allocator, or EINVAL where the quarantine is not smaller than the range.</returns>
    public static OpResult<IPasidAllocator> TryDecorate(IPasidAllocator inner, PasidOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(options);
        HashSet<long> reserved = [];
        foreach (long number in options.Reserved)
        {
            if (number is >= 0 and <= Pasid.MaxValue && inner.Range.Contains((uint)number) && reserved.Add(number))
            {
                _ = inner.TryReserve(new Pasid((uint)number));
            }
        }

        long usable = inner.Range.Count - reserved.Count;
        if (options.QuarantineFrees != 0 && options.QuarantineFrees >= usable)
        {
            int frees = options.QuarantineFrees;
            return Refuse(
                $"Pasid:QuarantineFrees is {frees}, must be less than the {usable} free PASIDs of {inner.Range}");
        }

        IPasidAllocator allocator = inner;
        if (options.QuarantineFrees != 0 || options.QuarantineMilliseconds != 0)
        {
            allocator = new QuarantinePasidAllocator(
                allocator, options.QuarantineFrees, options.QuarantineMilliseconds, time);
        }

        if (options.QuotaPerTenant != 0)
        {
            allocator = new QuotaPasidAllocator(allocator, options.QuotaPerTenant);
        }

        return OpResult<IPasidAllocator>.Ok(allocator);
    }

    private static PasidRange Cut(PasidOptions options, PasidRange range)
    {
        long first = Math.Max(options.First, range.First);
        long last = Math.Min(Math.Min(options.Last, range.Last), Pasid.MaxValue);
        return first > last ? PasidRange.Empty : new PasidRange((uint)first, (uint)last);
    }

    private static OpResult<IPasidAllocator> Refuse(InvariantText reason) =>
        OpResult<IPasidAllocator>.Refuse(Errno.EINVAL, Text(reason));

    private sealed class Factory(Func<PasidRange, ulong, IPasidAllocator> create) : IPasidAllocatorFactory
    {
        public IPasidAllocator Create(PasidRange range, ulong seed) => create(range, seed);
    }
}
