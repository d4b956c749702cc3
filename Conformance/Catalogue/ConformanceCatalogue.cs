// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Catalogue;

/// <summary>Every case that there is. Ids are permanent: one that is taken out is not given to another case.</summary>
/// <remarks>
/// Record of changes: 1.0 is the first version. Clauses are those of <see cref="ConformanceClause.All"/>.
/// </remarks>
public static class ConformanceCatalogue
{
    /// <summary>Version of the catalogue: the minor number grows with each case that is added, the major one where the
    /// meaning of a case changes.</summary>
    public const string Version = "1.0";

    /// <summary>Names of the families, in the order of the catalogue.</summary>
    public static IReadOnlyList<string> Families { get; } =
    [
        "encoding", "tiling", "transitions", "invalidation", "lifetime", "allocator", "capabilities", "faults",
        "errors",
        "concurrency", "options", "loading",
    ];

    /// <summary>The cases, by family and id.</summary>
    public static IReadOnlyList<ConformanceCase> Cases { get; } =
    [
        .. EncodingCases.All, .. TilingCases.All, .. TransitionCases.All, .. InvalidationCases.All,
        .. LifetimeCases.All,
        .. AllocatorCases.All, .. CapabilityCases.All, .. FaultCases.All, .. ErrorCases.All, .. ConcurrencyCases.All,
        .. OptionCases.All, .. LoadingCases.All,
    ];

    /// <summary>Clauses that no case can show, with the reason.</summary>
    public static IReadOnlyList<UntestedClause> Untested { get; } =
    [
        new("F1-F5, F7-F10", "page requests have no part in the driver contract yet"),
        new("A11, A12", "delegated allocators and their exchange are the core's, not a driver's"),
        new("C17, C18", "fork, exec and the rule of release are the core's, not a driver's"),
        new("C1, C2, C7-C9, C15, C16, C19",
            "refusals, PASIDs and locks of binds are the core's, and are tested with it"),
        new("D9, D10", "the contract attaches one device at a time"),
        new("C20", "the cost of a lookup is the core's; it is proven by counting, in the core's tests"),
    ];
}
