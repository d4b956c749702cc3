// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Engine;

/// <summary>Flags of a bind; none is defined yet, an unknown one is EINVAL.</summary>
[Flags]
public enum BindFlags
{
    None = 0,
}
