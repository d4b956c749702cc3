// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>What is below the core.</summary>
internal enum UnitKind
{
    /// <summary>A driver that does nothing.</summary>
    Empty,

    /// <summary>VT-d on its functional model, which walks and caches nothing.</summary>
    IntelVtd,

    /// <summary>SMMUv3 on its functional model.</summary>
    ArmSmmu,
}
