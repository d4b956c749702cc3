// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.Tables;

/// <summary>What an entry is to a walker.</summary>
public enum PasidEntryKind
{
    Absent,
    Valid,
    Quiet,
    Malformed,
}
