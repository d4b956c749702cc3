// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>How an address space came into being.</summary>
public enum LifeBegin
{
    /// <summary>A process was forked: a copy of its parent's address space.</summary>
    Fork,

    /// <summary>A process executed a program.</summary>
    Exec,

    /// <summary>It was there when the recording began.</summary>
    Before,
}
