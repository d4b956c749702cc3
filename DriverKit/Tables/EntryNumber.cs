// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

public enum EntryNumber
{
    /// <summary>An index of its table.</summary>
    Index,

    /// <summary>The device that the entry belongs to.</summary>
    Requester,

    /// <summary>The PASID that the entry belongs to.</summary>
    Pasid,
}
