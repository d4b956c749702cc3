// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>The life of a process in the core.</summary>
public enum ProcessState
{
    /// <summary>Being set up; no lookup finds it.</summary>
    Created,

    /// <summary>Bound to at least one device, or keeping its PASID until it dies.</summary>
    Published,

    /// <summary>Its last binding ended, or its address space did; no new binding is accepted.</summary>
    Dying,

    /// <summary>The last reference is gone and the drivers' records are freed.</summary>
    Gone,
}
