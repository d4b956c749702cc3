// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Results;

/// <summary>How binding a case is.</summary>
public enum CaseLevel
{
    /// <summary>A driver that fails it is wrong.</summary>
    Required,

    /// <summary>A driver that fails it works, and worse than it should.</summary>
    Recommended,

    /// <summary>Binding for drivers that declare the capability.</summary>
    Optional,

    /// <summary>Implementation-defined behaviour, reported and not judged.</summary>
    Informative,
}
