// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>
/// How far one meaning of a PASID reaches when the vendor's driver owns it: which devices share one PASID space.
/// </summary>
public enum PasidScope
{
    /// <summary>All units of this driver in the system share one space (VT-d: ENQCMD takes one PASID per
    /// process).</summary>
    System,

    /// <summary>Every unit has its own space.</summary>
    Unit,

    /// <summary>Every domain has its own space (SMMUv3 and virtio-iommu: the table belongs to the domain).</summary>
    Domain,
}
