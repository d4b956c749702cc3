// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>How PASIDs are allocated: section <c>Pasid</c> of the configuration. Validated once, at start.</summary>
public sealed class PasidOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string SectionName = "Pasid";

    /// <summary>Value of <see cref="Ownership"/>: one space for the whole system.</summary>
    public const string OwnershipCore = "core";

    /// <summary>Value of <see cref="Ownership"/>: the drivers decide.</summary>
    public const string OwnershipVendor = "vendor";

    /// <summary>Value of <see cref="Lifetime"/>: a PASID returns when its last binding ends.</summary>
    public const string LifetimeLastUnbind = "last-unbind";

    /// <summary>Value of <see cref="Lifetime"/>: a PASID returns when its process dies.</summary>
    public const string LifetimeProcessDeath = "process-death";

    /// <summary>Who decides: <c>core</c> (one space for the whole system) or <c>vendor</c> (each driver says how far a
    /// PASID reaches and may bring its own allocator).</summary>
    public string Ownership { get; set; } = OwnershipCore;

    /// <summary>The policy: <c>cyclic</c>, <c>lowest</c>, <c>top-down</c>, <c>random</c>, <c>sharded</c>, or one that a
    /// plug-in exports.</summary>
    public string Allocator { get; set; } = "lowest";

    /// <summary>Smallest PASID to allocate, 0 to 1048575.</summary>
    public long First { get; set; } = 1;

    /// <summary>Largest PASID to allocate, <see cref="First"/> to 1048575.</summary>
    public long Last { get; set; } = Pasid.MaxValue;

    /// <summary>PASIDs that are never allocated; drivers add theirs.</summary>
    public IList<long> Reserved { get; } = [];

    /// <summary>How many further frees a PASID waits for after its own, 0 (no quarantine) to 1048575.</summary>
    public int QuarantineFrees { get; set; }

    /// <summary>How long a PASID waits after its free, in milliseconds, 0 (no wait) to 86400000.</summary>
    public int QuarantineMilliseconds { get; set; }

    /// <summary>Most live PASIDs per tenant and space, 0 (no limit) to 1048576.</summary>
    public int QuotaPerTenant { get; set; }

    /// <summary>When a PASID returns: <c>last-unbind</c> (2017) or <c>process-death</c> (Linux since 2022).</summary>
    public string Lifetime { get; set; } = LifetimeLastUnbind;

    /// <summary>Seed of policies that draw PASIDs.</summary>
    public ulong Seed { get; set; } = 1;
}
