// A second PyTorch device whose memory is the host's and whose kernels are the CPU's, and which is as strict as a GPU.
//
// Arrays of different devices may not meet in one operation, but for 0-d arrays of the host in pointwise ones and for
// indices; what PyTorch's own dispatch does for a GPU (autograd, views, casts, factories) it does for this device.

#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <cstring>
#include <set>

namespace {

constexpr auto TYPE = c10::DeviceType::PrivateUse1;

struct Guard final : c10::impl::NoOpDeviceGuardImpl<TYPE> {
  c10::Device exchangeDevice(c10::Device) const override { return c10::Device(TYPE, 0); }
  c10::Device getDevice() const override { return c10::Device(TYPE, 0); }
  c10::Stream getStream(c10::Device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, c10::Device(TYPE, 0));
  }
  c10::Stream exchangeStream(c10::Stream) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, c10::Device(TYPE, 0));
  }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes ? std::malloc(bytes) : nullptr;
    return {data, data, &std::free, c10::Device(TYPE, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Memory memory;
REGISTER_ALLOCATOR(TYPE, &memory);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  void init() const override {}
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto fresh = memory.allocate(bytes);
    std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};
const bool hooked = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

at::Tensor empty(
    at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>, std::optional<at::Device>,
    std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(
      size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(
    at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(
      size, stride, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(dtype));
}

at::Tensor on_host(const at::Tensor& x) {
  if (x.device().is_cpu()) return x;
  auto options = at::TensorOptions().dtype(x.scalar_type()).device(at::kCPU);
  auto seen = at::from_blob(x.data_ptr(), x.sizes(), x.strides(), options);
  seen._set_conj(x.is_conj());
  seen._set_neg(x.is_neg());
  return seen;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  on_host(to).copy_(on_host(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) const_cast<at::Tensor&>(to).resize_(from.sizes());
  return copy_from(from, to, false);
}

const at::Tensor& resize(const at::Tensor& x, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  auto* whole = x.unsafeGetTensorImpl();
  whole->set_sizes_contiguous(size);
  const size_t bytes = (whole->storage_offset() + whole->numel()) * x.dtype().itemsize();
  if (bytes > x.storage().nbytes()) at::detail::getPrivateUse1Hooks().resizePrivateUse1Bytes(x.storage(), bytes);
  return x;
}

at::Scalar number(const at::Tensor& x) { return on_host(x).item(); }

at::Tensor& set(
    at::Tensor& x, at::Storage source, c10::SymInt offset, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  auto* whole = x.unsafeGetTensorImpl();
  whole->set_storage_keep_dtype(std::move(source));
  whole->set_sizes_and_strides(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), offset.expect_int());
  return x;
}

at::Tensor& set_whole(at::Tensor& x, at::Storage source) {
  const auto count = static_cast<int64_t>(source.nbytes() / x.dtype().itemsize());
  return set(x, std::move(source), 0, {c10::SymInt(count)}, {c10::SymInt(1)});
}

at::Tensor convolution(
    const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups) {
  TORCH_CHECK(x.device() == weight.device(), "Expected all tensors to be on the same device in aten::convolution");
  const auto added = bias.has_value() && bias->defined() ? std::optional<at::Tensor>(on_host(*bias)) : std::nullopt;
  return at::convolution_symint(
             on_host(x), on_host(weight), added, stride, padding, dilation, transposed, output_padding, groups)
      .to(x.device());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& by, const at::Tensor& x, const at::Tensor& weight, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups, std::array<bool, 3> wanted) {
  const std::vector<c10::SymInt> biases{by.sym_size(1)};
  auto [a, b, c] = at::convolution_backward_symint(
      on_host(by), on_host(x), on_host(weight), c10::SymIntArrayRef(biases), stride, padding, dilation, transposed,
      output_padding, groups, wanted);
  auto back = [&](const at::Tensor& y) { return y.defined() ? y.to(x.device()) : y; };
  return {back(a), back(b), back(c)};
}

/// Operators whose indices may be on the host.
const std::set<std::string> INDEXED = {
    "aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index",
    "aten::_unsafe_index_put"};

/// Operators besides pointwise ones that take 0-d arrays of the host.
const std::set<std::string> SCALARS = {"aten::where", "aten::fill_"};

/// Products, which GPUs have of floating-point numbers only.
const std::set<std::string> PRODUCTS = {
    "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::mv", "aten::addmv", "aten::dot", "aten::vdot"};

void on_the_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto arguments = torch::jit::last(*stack, schema.arguments().size());
  const bool indexed = INDEXED.count(schema.name()), pointwise = op.hasTag(at::Tag::pointwise) || SCALARS.count(schema.name());
  bool here = false, elsewhere = false;
  const bool product = PRODUCTS.count(schema.name());
  auto look = [&](const at::Tensor& x) {
    if (!x.defined()) return;
    TORCH_CHECK_NOT_IMPLEMENTED(
        !(product && at::isIntegralType(x.scalar_type(), true)), schema.name(), " is not implemented for integers");
    here |= x.device().type() == TYPE;
    elsewhere |= x.device().is_cpu() && !(x.dim() == 0 && pointwise);
  };
  for (const auto& argument : arguments) {
    if (argument.isTensor()) look(argument.toTensor());
    else if (argument.isTensorList()) for (const at::Tensor& x : argument.toTensorVector()) look(x);
    else if (argument.isList() && !indexed)
      for (const c10::IValue& x : argument.toListRef()) if (x.isTensor()) look(x.toTensor());
  }
  TORCH_CHECK(
      !(here && elsewhere), "Expected all tensors to be on the same device, but found at least two devices in ",
      toString(op.operator_name()));
  at::native::cpu_fallback(op, stack, false);
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
  library.impl("view", TORCH_FN(at::native::view));
  library.impl("view_as_real", TORCH_FN(at::native::view_as_real));
  library.impl("view_as_complex", TORCH_FN(at::native::view_as_complex));
  library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  library.impl("unfold", TORCH_FN(at::native::unfold));
  library.impl("set_.source_Storage", set_whole);
  library.impl("set_.source_Storage_storage_offset", set);
  library.impl("set_.source_Tensor", TORCH_FN(at::native::set_tensor_));
  library.impl("resize_", resize);
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  library.impl("_local_scalar_dense", number);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_host>()); }

// A copy resolves what is conjugated or negated lazily; without these it would be resolved by a copy.
TORCH_LIBRARY_IMPL(aten, Conjugate, library) { library.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, Negative, library) { library.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
