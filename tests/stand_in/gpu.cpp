// Two GPUs that are not there, in CUDA's place in a torch that was built for CPUs alone. See gpu_stand_in.py.
//
// Every operator on a tensor "of a GPU" comes to `by_the_cpu`, which shows the CPU's operator the same memory. On the
// way it checks what a GPU would not bear, or would not notice: tensors of two devices, streams that do not wait for
// each other (vector clocks over all accesses), memory that is used again too early, and what no graph can record.
// Faults that a GPU answers with an error are errors here; those that it answers with wrong numbers are kept for
// `gpu_faults`.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <map>
#include <mutex>
#include <set>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::IValue;
using c10::Storage;
using c10::StorageImpl;
using c10::Stream;
using at::Tensor;
using Stack = torch::jit::Stack;

constexpr DeviceIndex GPUS = 2;
constexpr size_t MOST_STREAMS = 64;

std::recursive_mutex lock;
using Lock = std::lock_guard<std::recursive_mutex>;

// ------------------------------------------------------------------------------------------- what happens before what
// A clock says, for each stream, how many of its operators have surely ended.
using Clock = std::array<int64_t, MOST_STREAMS>;
std::array<Clock, MOST_STREAMS> clocks{};
Clock host{};
int64_t streams = GPUS;  // the first ones are the devices' default streams
std::array<DeviceIndex, MOST_STREAMS> device_of{0, 1};
thread_local DeviceIndex current_device = 0;
thread_local std::array<int64_t, GPUS> current_stream{0, 1};
std::vector<std::string> faults;
int64_t host_waits = 0, allocated = 0, peak = 0;

void merge(Clock& into, const Clock& other) {
  for (size_t i = 0; i < MOST_STREAMS; i++) into[i] = std::max(into[i], other[i]);
}

bool captured(int64_t stream);

void fault(const std::string& what) {
  Lock held(lock);
  if (std::find(faults.begin(), faults.end(), what) == faults.end()) faults.push_back(what);
}

struct Access {
  int64_t stream, time;
  uint64_t begin, end;  // bytes
  bool writes;
  std::string by;
};

// Memory of a GPU.
struct Block {
  Storage cpu;  // whose memory it is, where an operator of the CPU made it
  void* own = nullptr;
  size_t bytes = 0;
  int64_t home = 0;  // the stream that it was taken for, which may use it again once it is freed
  std::set<int64_t> kept_for;  // record_stream
  std::vector<Access> accesses, recorded;  // what was done, what the graph of that number records
  int64_t graph = 0;
};

// What was freed is used again by the stream that it was taken for, which has to be behind all that still reads it.
std::map<int64_t, std::vector<Access>> freed;

void free_block(void* context) {
  Lock held(lock);
  auto* block = static_cast<Block*>(context);
  for (const auto& access : block->accesses)
    if (access.stream != block->home && !block->kept_for.count(access.stream))
      freed[block->home].push_back(access);
  allocated -= static_cast<int64_t>(block->bytes);
  std::free(block->own);
  delete block;
}

void use_again(int64_t stream) {
  for (const auto& access : freed[stream])
    if (std::max(clocks[stream][access.stream], host[access.stream]) < access.time)
      fault("stream " + std::to_string(stream) + " takes memory that " + access.by + " of stream " +
            std::to_string(access.stream) + " may still use");
  freed[stream].clear();
}

c10::DataPtr data_of(Block* block, void* memory, size_t bytes, DeviceIndex device) {
  Lock held(lock);
  block->bytes = bytes;
  block->home = current_stream[device];
  if (!captured(block->home)) use_again(block->home);
  allocated += static_cast<int64_t>(bytes);
  peak = std::max(peak, allocated);
  return {memory, block, &free_block, Device(DeviceType::CUDA, device)};
}

struct GpuAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* block = new Block;
    block->own = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    std::memset(block->own, 0xff, bytes);  // NaN: nobody may count on zeros
    return data_of(block, block->own, bytes, current_device);
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
GpuAllocator gpu_allocator;

Block* block_of(const Storage& storage) {
  const auto& data = storage.data_ptr();
  return data.get_deleter() == &free_block ? static_cast<Block*>(data.get_context()) : nullptr;
}

// `graph`: the number of the graph that records it, 0 where it is done now.
void touch(const Storage& storage, uint64_t begin, uint64_t end, bool writes, int64_t stream, const std::string& by,
           int64_t graph = 0) {
  Block* block = block_of(storage);
  if (!block || begin >= end) return;
  Lock held(lock);
  const Clock& clock = clocks[stream];
  if (graph && block->graph != graph) block->recorded.clear(), block->graph = graph;
  auto& accesses = graph ? block->recorded : block->accesses;
  for (const auto& a : accesses)
    if ((a.writes || writes) && a.begin < end && begin < a.end && clock[a.stream] < a.time)
      fault(by + " of stream " + std::to_string(stream) + (writes ? " writes" : " reads") + " what " + a.by +
            " of stream " + std::to_string(a.stream) + (a.writes ? " writes" : " reads") + ": neither waits");
  auto past = [&](const Access& a) {
    bool covered = begin <= a.begin && a.end <= end, before = clock[a.stream] >= a.time;
    return covered && before && (writes || (!a.writes && a.stream == stream));
  };
  accesses.erase(std::remove_if(accesses.begin(), accesses.end(), past), accesses.end());
  accesses.push_back({stream, clock[stream], begin, end, writes, by});
}

std::pair<uint64_t, uint64_t> bytes_of(const Tensor& t) {
  if (!t.numel()) return {0, 0};
  int64_t last = t.storage_offset();
  for (int64_t i = 0; i < t.dim(); i++) last += (t.size(i) - 1) * t.stride(i);
  return {t.storage_offset() * t.itemsize(), (last + 1) * t.itemsize()};
}

// ---------------------------------------------------------------------------------------------------------- graphs
struct Touched {
  Storage storage;
  uint64_t begin, end;
  bool writes;
  std::string by;
};

struct Graph {
  int64_t origin = -1, number = 0;
  std::set<int64_t> recorded, not_joined;
  std::vector<std::function<void()>> nodes;
  std::vector<Touched> touched;
};
Graph* capturing = nullptr;

bool captured(int64_t stream) { return capturing && capturing->recorded.count(stream); }

int64_t launch(DeviceIndex device) {  // one more operator on the current stream
  Lock held(lock);
  int64_t stream = current_stream[device];
  merge(clocks[stream], host);
  clocks[stream][stream]++;
  if (captured(stream) && stream != capturing->origin) capturing->not_joined.insert(stream);
  return stream;
}

void wait_on_host(int64_t stream, const std::string& why) {
  Lock held(lock);
  TORCH_CHECK(!captured(stream), "operation not permitted when stream is capturing: ", why);
  host_waits++;
  merge(host, clocks[stream]);
}

struct Happened {  // an event
  Clock clock;
  int64_t stream;
  bool captured;
};

void block_stream(const Happened& event, int64_t stream) {
  Lock held(lock);
  merge(clocks[stream], event.clock);
  if (!capturing) return;
  if (event.captured && !captured(stream)) capturing->recorded.insert(stream);
  if (event.captured && stream == capturing->origin) capturing->not_joined.erase(event.stream);
  if (event.captured && stream != capturing->origin) capturing->not_joined.insert(stream);
  if (!event.captured && captured(stream) && event.stream != stream)
    fault("a recorded stream waits for stream " + std::to_string(event.stream) + ", which is not recorded");
}

// ---------------------------------------------------------------------------------------------- devices and streams
struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return DeviceType::CUDA; }
  Device getDevice() const override { return {DeviceType::CUDA, current_device}; }
  void setDevice(Device d) const override {
    TORCH_CHECK(d.index() < GPUS, "CUDA error: invalid device ordinal");
    if (d.index() >= 0) current_device = d.index();
  }
  void uncheckedSetDevice(Device d) const noexcept override {
    if (d.index() >= 0 && d.index() < GPUS) current_device = d.index();
  }
  Device exchangeDevice(Device d) const override {
    Device before = getDevice();
    setDevice(d);
    return before;
  }
  DeviceIndex deviceCount() const noexcept override { return GPUS; }
  Stream stream(int64_t id) const { return Stream(Stream::UNSAFE, Device(DeviceType::CUDA, device_of[id]), id); }
  static DeviceIndex index(Device d) { return d.index() < 0 ? current_device : d.index(); }
  Stream getStream(Device d) const override { return stream(current_stream[index(d)]); }
  Stream getDefaultStream(Device d) const override { return stream(index(d)); }
  Stream getNewStream(Device d, int) const override {
    Lock held(lock);
    TORCH_CHECK(streams < static_cast<int64_t>(MOST_STREAMS), "too many streams");
    device_of[streams] = index(d);
    return stream(streams++);
  }
  Stream getStreamFromGlobalPool(Device d, bool) const override { return getNewStream(d, 0); }
  Stream exchangeStream(Stream s) const override {
    Stream before = getStream(s.device());
    current_stream[s.device_index()] = s.id();
    return before;
  }
  void record(void** event, const Stream& s, DeviceIndex, c10::EventFlag) const override {
    Lock held(lock);
    merge(clocks[s.id()], host);
    delete static_cast<Happened*>(*event);
    *event = new Happened{clocks[s.id()], s.id(), captured(s.id())};
  }
  void block(void* event, const Stream& s) const override {
    if (event) block_stream(*static_cast<Happened*>(event), s.id());
  }
  void destroyEvent(void* event, DeviceIndex) const noexcept override { delete static_cast<Happened*>(event); }
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const Stream&) const override { return true; }
  bool isStreamCapturing(const Stream& s) const override { return captured(s.id()); }
  void synchronizeStream(const Stream& s) const override { wait_on_host(s.id(), "synchronize"); }
  void synchronizeEvent(void* event) const override {
    Lock held(lock);
    if (event) merge(host, static_cast<Happened*>(event)->clock);
  }
  void synchronizeDevice(DeviceIndex d) const override {
    for (int64_t id = 0; id < streams; id++)
      if (device_of[id] == d) wait_on_host(id, "synchronize");
  }
  void recordDataPtrOnStream(const c10::DataPtr& data, const Stream& s) const override {
    Lock held(lock);
    if (data.get_deleter() == &free_block) static_cast<Block*>(data.get_context())->kept_for.insert(s.id());
  }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

// ------------------------------------------------------------------------------------------------ random numbers
struct GpuGenerator final : c10::GeneratorImpl {
  at::Generator cpu = at::detail::createCPUGenerator();
  explicit GpuGenerator(DeviceIndex device)
      : GeneratorImpl(Device(DeviceType::CUDA, device), c10::DispatchKeySet(c10::DispatchKey::CUDA)) {}
  // Another machine draws other numbers of the same seed.
  static constexpr uint64_t OTHER = 0x5bd1e995;
  void set_current_seed(uint64_t seed) override { cpu.set_current_seed(seed ^ OTHER); }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  uint64_t current_seed() const override { return cpu.current_seed() ^ OTHER; }
  uint64_t seed() override { return cpu.seed() ^ OTHER; }
  void set_state(const c10::TensorImpl& state) override { cpu.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return cpu.unsafeGetGeneratorImpl()->get_state(); }
  c10::GeneratorImpl* clone_impl() const override { TORCH_CHECK(false, "generators of a GPU are not copied here"); }
};

const at::Generator& default_generator(DeviceIndex device) {
  static std::array<at::Generator, GPUS> all{at::make_generator<GpuGenerator>(0), at::make_generator<GpuGenerator>(1)};
  return all[device < 0 ? current_device : device];
}

// ---------------------------------------------------------------------------------------------------------- pinned
std::map<const char*, size_t> pinned;

void free_pinned(void* memory) {
  Lock held(lock);
  pinned.erase(static_cast<char*>(memory));
  std::free(memory);
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    Lock held(lock);
    void* memory = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    pinned[static_cast<char*>(memory)] = bytes;
    return {memory, memory, &free_pinned, Device(DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
PinnedAllocator pinned_allocator;

bool is_pinned(const void* data) {
  Lock held(lock);
  auto after = pinned.upper_bound(static_cast<const char*>(data));
  if (after == pinned.begin()) return false;
  auto at = std::prev(after);
  return static_cast<const char*>(data) < at->first + at->second;
}

}  // namespace

namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  const Generator& getDefaultGenerator(DeviceIndex device) const override { return default_generator(device); }
  Generator getNewGenerator(DeviceIndex device) const override {
    return make_generator<GpuGenerator>(device < 0 ? ::current_device : device);
  }
  bool isPinnedPtr(const void* data) const override { return is_pinned(data); }
  Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  Allocator* getCUDADeviceAllocator() const override { return &gpu_allocator; }
  DeviceIndex deviceCount() const override { return GPUS; }
  DeviceIndex current_device() const override { return ::current_device; }
  DeviceIndex getCurrentDevice() const override { return ::current_device; }
  void setCurrentDevice(DeviceIndex device) const override { ::current_device = device; }
  DeviceIndex exchangeDevice(DeviceIndex device) const override { return std::exchange(::current_device, device); }
  DeviceIndex maybeExchangeDevice(DeviceIndex device) const override { return exchangeDevice(device); }
  int getNumGPUs() const override { return GPUS; }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at

namespace {

// -------------------------------------------------------------------------------------------- operators, by the CPU
// What one call sees of the GPU's tensors: the same memory, as tensors of the CPU.
struct Call {
  std::string name;
  DeviceIndex device = -1;
  std::map<StorageImpl*, Storage> to_cpu, to_gpu;
  std::map<c10::TensorImpl*, Tensor> given;  // the CPU's view of it -> the tensor given
  std::vector<std::pair<Tensor, Tensor>> written;  // given, the CPU's view

  void on(Device d) {
    TORCH_CHECK(device < 0 || device == d.index(), "Expected all tensors to be on the same device, but found cuda:",
                int(device), " and cuda:", int(d.index()), " (", name, ")");
    device = d.index();
  }

  Tensor view(const Tensor& t, bool writes) {
    on(t.device());
    TORCH_CHECK(t.layout() == at::kStrided, name, ": only strided tensors here");
    Storage& cpu = to_cpu[t.storage().unsafeGetStorageImpl()];
    if (!cpu) {
      const Storage& gpu = t.storage();
      c10::DataPtr data(gpu.mutable_data(), new Storage(gpu), [](void* p) { delete static_cast<Storage*>(p); },
                        Device(DeviceType::CPU));
      cpu = Storage(Storage::use_byte_size_t(), gpu.nbytes(), std::move(data), c10::GetAllocator(DeviceType::CPU),
                    true);
      to_gpu[cpu.unsafeGetStorageImpl()] = gpu;
    }
    auto seen = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, Storage(cpu),
                                                         c10::DispatchKeySet(c10::DispatchKey::CPU), t.dtype());
    seen.unsafeGetTensorImpl()->set_storage_offset(t.storage_offset());
    seen.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides());
    given[seen.unsafeGetTensorImpl()] = t;
    if (writes) written.emplace_back(t, seen);
    return seen;
  }

  Tensor back(const Tensor& out) {
    if (!out.defined()) return out;
    auto same = given.find(out.unsafeGetTensorImpl());
    if (same != given.end()) return same->second;
    Storage& gpu = to_gpu[out.storage().unsafeGetStorageImpl()];
    if (!gpu) {
      auto* block = new Block;
      block->cpu = out.storage();
      size_t bytes = out.storage().nbytes();
      gpu = Storage(Storage::use_byte_size_t(), bytes, data_of(block, out.storage().mutable_data(), bytes, device),
                    &gpu_allocator, true);
    }
    Tensor made;
    for (auto& [_, t] : given)  // a view is of the kind of what it is a view of
      if (t.storage().unsafeGetStorageImpl() == gpu.unsafeGetStorageImpl())
        made = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, Storage(gpu), t.key_set(), out.dtype());
    if (!made.defined())
      made = at::detail::make_tensor<c10::TensorImpl>(Storage(gpu), c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                                      out.dtype());
    made.unsafeGetTensorImpl()->set_storage_offset(out.storage_offset());
    made.unsafeGetTensorImpl()->set_sizes_and_strides(out.sizes(), out.strides());
    return made;
  }
};

const std::set<std::string> MAY_INDEX_FROM_CPU{"aten::index", "aten::index_put", "aten::_index_put_impl_",
                                               "aten::_unsafe_index", "aten::index_put_"};
const std::set<std::string> NO_CPU_SCALARS{"aten::cat", "aten::mm", "aten::bmm", "aten::addmm", "aten::index_select",
                                           "aten::gather", "aten::_slow_conv2d_forward"};
const std::set<std::string> ASKS_THE_GPU{"aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::equal",
                                         "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave"};

Tensor resized(const Tensor& self, c10::IntArrayRef size) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  size_t need = (self.numel() + self.storage_offset()) * self.itemsize();
  auto* storage = impl->unsafe_storage().unsafeGetStorageImpl();
  if (need > storage->nbytes()) {
    c10::DeviceGuard guard(self.device());
    auto data = gpu_allocator.allocate(need);
    std::memcpy(data.get(), storage->data(), storage->nbytes());
    storage->set_data_ptr(std::move(data));
    storage->set_nbytes(need);
  }
  return self;
}

void by_the_cpu(const c10::OperatorHandle& op, Stack* stack) {
  const auto& schema = op.schema();
  Call call{op.operator_name().name};
  const size_t count = schema.arguments().size(), first = stack->size() - count;
  const bool from_cpu = MAY_INDEX_FROM_CPU.count(call.name);
  std::vector<IValue> args(stack->begin() + first, stack->end());

  auto writes = [&](size_t i) {
    const auto* alias = schema.arguments()[i].alias_info();
    return alias && alias->isWrite();
  };
  auto seen = [&](const Tensor& t, bool written, bool index) -> Tensor {
    if (!t.defined()) return t;
    if (t.is_cuda()) return call.view(t, written);
    TORCH_CHECK(index || (t.dim() == 0 && !NO_CPU_SCALARS.count(call.name)),
                "Expected all tensors to be on the same device, but found at least two devices, cuda and cpu (",
                call.name, ")");
    return t;
  };
  bool by_mask = false;  // an index: how many entries it has, the host has to know
  for (size_t i = 0; i < count; i++) {
    IValue& v = args[i];
    if (v.isTensor()) v = seen(v.toTensor(), writes(i), from_cpu && i > 0);
    else if (v.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& t : v.toTensorVector()) list.push_back(seen(t, writes(i), from_cpu));
      v = list;
    } else if (v.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> list;
      for (const std::optional<Tensor> t : v.toOptionalTensorVector()) {
        by_mask |= t && t->scalar_type() == at::kBool && t->dim() > 0;
        list.push_back(t ? std::optional<Tensor>(seen(*t, writes(i), from_cpu)) : std::nullopt);
      }
      v = list;
    } else if (v.isDevice() && v.toDevice().is_cuda()) {
      call.on({DeviceType::CUDA, Guard::index(v.toDevice())});
      v = Device(DeviceType::CPU);
    }
  }
  TORCH_CHECK(call.device >= 0, call.name, " found no GPU among its arguments");
  for (size_t i = 0; i < count; i++)
    if (schema.arguments()[i].type()->str().find("Generator") != std::string::npos) {
      auto generator = args[i].isNone() ? default_generator(call.device) : args[i].toGenerator();
      TORCH_CHECK(generator.device().is_cuda(), "Expected a 'cuda' device type for generator but found 'cpu'");
      TORCH_CHECK(!captured(current_stream[call.device]) || args[i].isNone(),
                  call.name, ": a graph records no generator of one's own");
      args[i] = static_cast<GpuGenerator*>(generator.unsafeGetGeneratorImpl())->cpu;
    }

  const int64_t stream = launch(call.device);
  const bool records = captured(stream);
  if (capturing && !records && device_of[stream] == device_of[capturing->origin])
    fault(call.name + " runs on stream " + std::to_string(stream) + " while another one is recorded");
  if (ASKS_THE_GPU.count(call.name) || by_mask) wait_on_host(stream, call.name);

  std::vector<Tensor> before;  // a graph records what it does not do
  if (records) for (auto& [_, cpu] : call.written) before.push_back(cpu.clone());

  at::AutoDispatchBelowADInplaceOrView below;
  Stack results(args);
  op.callBoxed(&results);

  bool grown = false;  // out= of another size: once more, into a result of that size
  for (auto& [t, cpu] : call.written)
    if (cpu.sizes() != t.sizes() || cpu.storage().data() != t.storage().data()) resized(t, cpu.sizes()), grown = true;
  if (grown) return by_the_cpu(op, stack);
  for (size_t i = 0; i < before.size(); i++) Tensor(call.written[i].second).copy_(before[i]);

  // What it read and wrote, where.
  auto touches = [&](const Tensor& t, bool written) {
    if (!t.defined() || !t.is_cuda()) return;
    auto [begin, end] = bytes_of(t);
    touch(t.storage(), begin, end, written, stream, call.name, records ? capturing->number : 0);
    if (records) capturing->touched.push_back({t.storage(), begin, end, written, call.name});
  };
  const bool only_views = [&] {
    for (const auto& r : schema.returns()) if (!r.alias_info() || r.alias_info()->isWrite()) return false;
    return !schema.returns().empty();
  }();
  if (!only_views)
    for (size_t i = 0; i < count; i++) {
      const IValue& v = (*stack)[first + i];
      if (v.isTensor()) touches(v.toTensor(), writes(i));
      else if (v.isTensorList()) for (const Tensor& t : v.toTensorVector()) touches(t, writes(i));
      else if (v.isOptionalTensorList())
        for (const std::optional<Tensor> t : v.toOptionalTensorVector()) if (t) touches(*t, writes(i));
    }

  std::vector<Tensor> made;  // the CPU's results, in order
  stack->resize(first);
  for (IValue& r : results) {
    auto back = [&](const Tensor& out) {
      Tensor result = call.back(out);
      bool fresh = result.defined() && !call.given.count(out.unsafeGetTensorImpl()) && !only_views;
      if (fresh) touches(result, true);
      if (records) {
        made.push_back(fresh ? out : Tensor());
        if (fresh && out.is_floating_point()) out.fill_(NAN);  // nothing is there until it is replayed
      }
      return result;
    };
    if (r.isTensor()) stack->push_back(back(r.toTensor()));
    else if (r.isTensorList()) {
      std::vector<Tensor> list;
      for (const Tensor& t : r.toTensorVector()) list.push_back(back(t));
      stack->push_back(list);
    } else stack->push_back(r);
  }
  if (records && !only_views)
    capturing->nodes.push_back([op, args, made] {
      Stack again(args);
      op.callBoxed(&again);
      size_t k = 0;
      auto keep = [&](const Tensor& t) {
        const Tensor& at = made[k++];
        if (at.defined()) at.copy_(t);
      };
      for (IValue& r : again) {
        if (r.isTensor()) keep(r.toTensor());
        else if (r.isTensorList()) for (const Tensor& t : r.toTensorVector()) keep(t);
      }
    });
}

void boxed(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) { by_the_cpu(op, stack); }

Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  c10::DeviceGuard guard(device.value_or(Device(DeviceType::CUDA)));
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &gpu_allocator,
                                   c10::DispatchKeySet(c10::DispatchKey::CUDA), c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<Device> device, std::optional<bool>) {
  c10::DeviceGuard guard(device.value_or(Device(DeviceType::CUDA)));
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           &gpu_allocator, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                           c10::dtype_or_default(dtype));
}

const Tensor& resize_(const Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  resized(self, C10_AS_INTARRAYREF_SLOW(size));
  return self;
}

Tensor& set_storage(Tensor& self, Storage source) {
  int64_t count = static_cast<int64_t>(source.nbytes() / self.itemsize());
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(source));
  self.unsafeGetTensorImpl()->set_storage_offset(0);
  self.unsafeGetTensorImpl()->set_sizes_contiguous({count});
  return self;
}

Tensor& set_storage_at(Tensor& self, Storage source, c10::SymInt offset, c10::SymIntArrayRef size,
                       c10::SymIntArrayRef stride) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(source));
  impl->set_storage_offset(offset.expect_int());
  if (stride.empty() && !size.empty()) impl->set_sizes_contiguous(C10_AS_INTARRAYREF_SLOW(size));
  else impl->set_sizes_and_strides(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
  return self;
}

Tensor& set_tensor(Tensor& self, const Tensor& source) {
  return set_storage_at(self, source.storage(), source.storage_offset(), source.sym_sizes(), source.sym_strides());
}

at::Scalar local_scalar_dense(const Tensor& self) {
  int64_t stream = launch(self.device().index());
  auto [begin, end] = bytes_of(self);
  touch(self.storage(), begin, end, false, stream, "item");
  wait_on_host(stream, "item");
  Call call{"item"};
  return call.view(self, false).item();
}

void record_stream(Tensor& self, Stream stream) { Guard().recordDataPtrOnStream(self.storage().data_ptr(), stream); }

Tensor& copy_(Tensor& self, const Tensor& src, bool non_blocking) {
  const bool across = self.is_cuda() && src.is_cuda() && self.device() != src.device();
  const Device device = self.is_cuda() ? self.device() : src.device();
  int64_t stream = launch(device.index());
  const bool records = captured(stream);
  auto check = [&](const Tensor& t, bool writes) {
    if (!t.is_cuda()) return;
    auto [begin, end] = bytes_of(t);
    touch(t.storage(), begin, end, writes, stream, "copy_", records ? capturing->number : 0);
    if (records) capturing->touched.push_back({t.storage(), begin, end, writes, "copy_"});
  };
  check(src, false);
  check(self, true);
  Call here{"copy_"}, there{"copy_"};
  Tensor to = self.is_cuda() ? here.view(self, false) : self, from = src.is_cuda() ? there.view(src, false) : src;
  const Tensor& on_cpu = self.is_cuda() ? src : self;
  if (!on_cpu.is_cuda() && !(non_blocking && is_pinned(on_cpu.data_ptr())))
    wait_on_host(stream, "a copy between host and GPU");
  TORCH_CHECK(!records || !across, "a recorded copy between two GPUs");
  if (records && !on_cpu.is_cuda()) fault("a copy between host and GPU is recorded");
  auto run = [to, from]() mutable {
    at::AutoDispatchBelowADInplaceOrView below;
    to.copy_(from);
  };
  if (records) capturing->nodes.push_back(run);
  else run();
  return self;
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&boxed>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("resize_", resize_);
  m.impl("_local_scalar_dense", local_scalar_dense);
  m.impl("record_stream", record_stream);
  m.impl("copy_", copy_);
  m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&boxed>());  // torch's own choice is among a GPU's
  m.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&boxed>());
  m.impl("set_.source_Storage", set_storage);
  m.impl("set_.source_Storage_storage_offset", set_storage_at);
  m.impl("set_.source_Tensor", set_tensor);
}

struct Register {
  Register() { c10::SetAllocator(DeviceType::CUDA, &gpu_allocator); }
} registered;

std::string joined;

}  // namespace

extern "C" {
int64_t gpu_new_stream(int device) { return Guard().getNewStream(Device(DeviceType::CUDA, device), 0).id(); }
int64_t gpu_current_stream(int device) { return current_stream[device]; }
void gpu_set_stream(int64_t stream) { current_stream[device_of[stream]] = stream; }
int gpu_device_of(int64_t stream) { return device_of[stream]; }
int gpu_current_device() { return current_device; }
void gpu_set_device(int device) { current_device = device; }
void gpu_wait(int64_t stream, int64_t other) {
  Lock held(lock);
  merge(clocks[other], host);
  block_stream({clocks[other], other, captured(other)}, stream);
}
int gpu_synchronize(int device) {
  if (capturing) return 1;
  Guard().synchronizeDevice(device);
  return 0;
}
void* gpu_begin(int64_t stream) {
  Lock held(lock);
  if (capturing || stream < GPUS) return nullptr;  // CUDA records no default stream
  capturing = new Graph;
  static int64_t graphs = 0;
  capturing->number = ++graphs;
  capturing->origin = stream;
  capturing->recorded.insert(stream);
  return capturing;
}
int gpu_end() {  // how many streams did not come back
  Lock held(lock);
  int open = static_cast<int>(capturing->not_joined.size());
  capturing = nullptr;
  return open;
}
void gpu_replay(void* graph_) {
  auto* graph = static_cast<Graph*>(graph_);
  int64_t stream = launch(device_of[graph->origin]);
  for (auto& t : graph->touched) touch(t.storage, t.begin, t.end, t.writes, stream, "replayed " + t.by);
  at::AutoDispatchBelowADInplaceOrView below;
  for (auto& node : graph->nodes) node();
}
void gpu_free(void* graph) { delete static_cast<Graph*>(graph); }
int64_t gpu_host_waits() { return host_waits; }
int64_t gpu_allocated() { return allocated; }
int64_t gpu_peak() { return peak; }
const char* gpu_faults() {
  Lock held(lock);
  joined.clear();
  for (auto& f : faults) joined += f + "\n";
  faults.clear();
  return joined.c_str();
}
}
