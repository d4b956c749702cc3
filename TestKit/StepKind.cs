// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>What a driver did to its hardware; the three last are noted by tests.</summary>
public enum StepKind
{
    Allocate,
    Free,
    Store,
    StoreDword,
    StoreBytes,
    Flush,
    Barrier,
    Register,
    Configuration,
    Path,
    Translations,
}
