// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>One way of allocating PASIDs that takes part in a comparison: an ownership and an allocator.</summary>
public sealed record Policy
{
    /// <summary>
    /// Frees that a PASID waits for under <c>core/quarantine</c> where the options say nothing; half of the PASIDs
    /// where there are fewer than twice as many.
    /// </summary>
    public const int DefaultQuarantineFrees = 64;

    private static readonly string[] s_builtIn = ["cyclic", "lowest", "top-down", "random"];

    private Policy(string name, string ownership, string? allocator, bool hasQuarantine)
    {
        Name = name;
        Ownership = ownership;
        Allocator = allocator;
        HasQuarantine = hasQuarantine;
    }

    /// <summary>Its name as users type it: <c>core/NAME</c> or <c>vendor</c>.</summary>
    public string Name { get; }

    /// <summary>Who owns the PASIDs: <c>core</c> or <c>vendor</c>.</summary>
    public string Ownership { get; }

    /// <summary>The allocator; null where the driver brings its own.</summary>
    public string? Allocator { get; }

    /// <summary>Whether freed PASIDs wait in a quarantine.</summary>
    public bool HasQuarantine { get; }

    /// <summary>Every policy: the built-in ones, those of plug-ins, and the vendors' own.</summary>
    /// <param name="pluginAllocators">Names of the allocators that plug-ins export; a built-in name is not taken
    /// over.</param>
    public static IReadOnlyList<Policy> Catalogue(IEnumerable<string> pluginAllocators)
    {
        var policies = new List<Policy>();
        foreach (string name in s_builtIn)
        {
            policies.Add(new Policy($"core/{name}", PasidOptions.OwnershipCore, name, false));
        }

        policies.Add(new Policy("core/quarantine", PasidOptions.OwnershipCore, PasidAllocators.Lowest, true));
        foreach (string name in pluginAllocators.Order(StringComparer.Ordinal))
        {
            if (!policies.Exists(p => p.Name == $"core/{name}"))
            {
                policies.Add(new Policy($"core/{name}", PasidOptions.OwnershipCore, name, false));
            }
        }

        policies.Add(new Policy("vendor", PasidOptions.OwnershipVendor, null, false));
        return policies;
    }

    /// <summary>The options of a run under this policy.</summary>
    /// <param name="configured">
    /// What is configured. Range, reserved PASIDs, waiting time, quota and lifetime apply to every policy; the
    /// number of frees in quarantine applies to <c>core/quarantine</c> only, as the others are to be seen without.
    /// </param>
    public PasidOptions Derive(PasidOptions configured, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(configured);
        var options = new PasidOptions
        {
            Ownership = Ownership,
            Allocator = Allocator ?? PasidAllocators.Lowest,
            First = configured.First,
            Last = configured.Last,
            QuarantineFrees = HasQuarantine ? QuarantineFrees(configured) : 0,
            QuarantineMilliseconds = configured.QuarantineMilliseconds,
            QuotaPerTenant = configured.QuotaPerTenant,
            Lifetime = configured.Lifetime,
            Seed = seed,
        };
        foreach (long reserved in configured.Reserved)
        {
            options.Reserved.Add(reserved);
        }

        return options;
    }

    /// <summary>Frees that a PASID waits for under <c>core/quarantine</c>.</summary>
    internal static int QuarantineFrees(PasidOptions configured) => configured.QuarantineFrees > 0
        ? configured.QuarantineFrees
        : (int)Math.Clamp((configured.Last - configured.First + 1) / 2, 0, DefaultQuarantineFrees);

    /// <summary>The policy's name.</summary>
    public override string ToString() => Name;
}
